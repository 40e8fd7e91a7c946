"""[fleet]: the balancers and connectors that know of each other through etcd."""

from __future__ import annotations

import socket
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, SecretStr

from lbproxy.config import addresses
from lbproxy.config.models.table import Table
from lbproxy.config.models.values import File, Name, NotEmpty, not_empty
from lbproxy.config.units import duration_between


def _endpoint(value: object) -> str:
    return addresses.origin(value, ("http", "https"))


def _secret(value: SecretStr) -> SecretStr:
    if not value.get_secret_value():
        raise ValueError("must not be empty")
    return value


class Fleet(Table):
    """`etcd` are URLs of one cluster; `lease` is how long a registration stays after its last sign of life.

    `secret_file` has the secret under which what is shared and secret is encrypted.

    `ca`, `certificate` and `key` are for https; None is the system's authorities, and no certificate of our own.
    """

    name: Name
    replica: Name | None = None
    etcd: Annotated[tuple[Annotated[str, BeforeValidator(_endpoint)], ...], AfterValidator(not_empty)]
    lease: Annotated[float, BeforeValidator(duration_between("2s", "10m"))] = 5.0
    ca: File | None = None
    certificate: File | None = None
    key: File | None = None
    user: NotEmpty | None = None
    secret_file: File | None = None
    password: Annotated[SecretStr, AfterValidator(_secret)] | None = None

    @property
    def replica_name(self) -> str:
        """Of this process in the fleet; the host's name unless `replica` says otherwise."""
        return self.replica or socket.gethostname()
