"""The configuration files of the tests: a small default, changed by each test where it needs to."""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from .client import HOST
from .tls import Certificate

Table = Mapping[str, Any]


_OUTGOING = Path("/proc/sys/net/ipv4/ip_local_port_range")
"""The ports that the kernel gives to outgoing connections, any of which may take one before a server binds it."""


def _candidates() -> Iterator[int]:
    """Each port once, in no order: runs side by side are not to try the same ones."""
    first = int(_OUTGOING.read_text().split()[0])
    ports = list(range(10000, max(first, 20000)))
    random.shuffle(ports)
    return iter(ports)


_PORTS = _candidates()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody uses, and nobody is given before it is bound."""
    for port in _PORTS:
        with socket.socket() as sock, suppress(OSError):
            sock.bind(("127.0.0.1", port))
            return port
    raise AssertionError("every port of this machine was tried")


def configuration(
    directory: Path,
    backends: Iterable[tuple[str, str]],
    listener: Table | None = None,
    pool: Table | None = None,
    certificate: Certificate | None = None,
    **top: Any,
) -> dict[str, Any]:
    """One listener in front of one pool of (name, url), without probes unless `pool` has a check.

    `listener`, `pool` and `top` add keys to their tables or replace them.
    """
    port = free_port()
    tls = {"tls": {"certificate": str(certificate.chain), "key": str(certificate.key)}} if certificate else {}
    return {
        "server_url": f"{'https' if certificate else 'http'}://{HOST}:{port}",
        "drain_timeout": "2s",
        **top,
        "listener": {
            "login": {"bind": f"127.0.0.1:{port}", "mode": "http", "pool": "connectors", **tls, **(listener or {})}
        },
        "pool": {
            "connectors": {
                "backends": [{"name": name, "url": url} for name, url in backends],
                "check": {"kind": "none"},
                **(pool or {}),
            }
        },
        "access_log": {"path": "-"},
        "admin": {"bind": f"unix:{directory / 'admin.sock'}"},
    }


def toml(table: Table, name: str = "") -> str:
    """`table` as TOML 1.0: its plain keys first, then its sub-tables under their dotted names."""
    plain = [f"{_key(key)} = {_value(value)}" for key, value in table.items() if not isinstance(value, Mapping)]
    header = [f"[{name}]"] if name and plain else []
    tables = [(_key(key), value) for key, value in table.items() if isinstance(value, Mapping)]
    inner = [toml(value, f"{name}.{key}" if name else key) for key, value in tables]
    return "\n".join([*header, *plain, *inner])


def _key(name: str) -> str:
    return name if name.isidentifier() else json.dumps(name)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    return json.dumps(value)
