"""From the configuration to the balancer's place in its fleet."""

from __future__ import annotations

import hashlib
import json
import socket
from pathlib import PurePath

from pydantic import SecretBytes, SecretStr

from lbproxy import __version__, files
from lbproxy.config import Config
from lbproxy.control.etcd import Etcd
from lbproxy.control.fleet.fleet import Fleet, Memory
from lbproxy.control.fleet.place import Balancer, Place
from lbproxy.errors import StartError

_OF_ONE_HOST = {
    "fleet": True,
    "admin": True,
    "log": True,
    "access_log": True,
    "tracing": True,
    "user": True,
    "group": True,
    "workers": True,
    "listeners": {"__all__": {"bind"}},
}
"""What balancers of one fleet need not have in common."""


def make_fleet(
    config: Config, etcd: Etcd, run: str, generation: int, balancer: Balancer, memory: Memory | None
) -> Fleet:
    """run: see `Place`. memory: what the generation before this one has left.

    Raises StartError when `secret_file` cannot be read.
    """
    return Fleet(etcd, make_place(config, run, generation), balancer, memory, read_secret(config))


def make_place(config: Config, run: str, generation: int) -> Place:
    """The place of this process. run: see `Place`."""
    fleet = config.fleet
    assert fleet is not None, "there is a fleet"
    return Place(
        fleet.name,
        fleet.replica_name,
        socket.gethostname(),
        fleet.lease,
        run,
        generation,
        __version__,
        digest(config),
        {name: " ".join(listener.pools) for name, listener in config.listeners.items()},
    )


def read_secret(config: Config) -> bytes:
    """What is in the fleet's `secret_file`; nothing if there is none. Raises StartError."""
    path = None if config.fleet is None else config.fleet.secret_file
    try:
        return b"" if path is None else files.read(path)
    except OSError as error:
        raise StartError(f"fleet.secret_file: {path}: {error.strerror}") from error


def digest(config: Config) -> str:
    """Equal where two balancers serve the same: what belongs to one host, secrets and directories are left out."""
    told = config.model_dump(exclude=_OF_ONE_HOST)  # type: ignore[arg-type]  # nested, as pydantic takes it
    return hashlib.sha256(json.dumps(_plain(told), sort_keys=True).encode()).hexdigest()[:12]


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, set | frozenset):
        return sorted(str(_plain(one)) for one in value)
    if isinstance(value, SecretStr | SecretBytes):
        return None
    return value.name if isinstance(value, PurePath) else str(value)
