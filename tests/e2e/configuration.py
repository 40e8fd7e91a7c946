"""The configuration files of the tests: a small default, changed by each test where it needs to."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.ports import free_port

from .client import HOST
from .tls import Certificate

Table = Mapping[str, Any]


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
