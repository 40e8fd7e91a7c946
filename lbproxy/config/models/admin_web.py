"""[admin.web]: the dashboard on a network."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator

from lbproxy.config.addresses import Address
from lbproxy.config.models.table import Table
from lbproxy.config.models.values import Bind, File, NotEmpty, PositiveDuration, not_empty


def _with_port(bind: Address) -> Address:
    if bind.path is not None:
        raise ValueError(f"{bind} is a Unix socket; browsers need host:port")
    return bind


class AdminWeb(Table):
    """`viewers` and `operators` are patterns: see `lbproxy.dashboard.roles`.

    A session ends `idle_timeout` seconds after its last page, and `session_timeout` seconds after it began.
    """

    bind: Annotated[Bind, AfterValidator(_with_port)]
    certificate: File
    key: File
    sign_in: Annotated[tuple[Literal["kerberos", "certificate", "password"], ...], AfterValidator(not_empty)]
    keytab: File | None = None
    client_ca: File | None = None
    passwords: File | None = None
    viewers: tuple[NotEmpty, ...] = ()
    operators: tuple[NotEmpty, ...] = ()
    idle_timeout: PositiveDuration = 1800.0
    session_timeout: PositiveDuration = 43200.0
