"""Listeners of the modes tcp and sni, whose bytes pass unread."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

from .client import HOST
from .configuration import Table, configuration


class Member(Protocol):
    """A backend."""

    @property
    def name(self) -> str: ...
    @property
    def port(self) -> int: ...


def passing(
    directory: Path, members: Iterable[Member], mode: str = "tcp", listener: Table | None = None, **changes: Any
) -> dict[str, Any]:
    """A `configuration` whose listener passes connections through to `members`; in mode sni, those for HOST."""
    urls = [(member.name, f"tcp://127.0.0.1:{member.port}") for member in members]
    config = configuration(directory, urls, listener={"mode": mode, **(listener or {})}, **changes)
    if mode == "sni":
        table = config["listener"]["login"]
        table.setdefault("sni", {HOST: table.pop("pool")})
        table.pop("pool", None)
    return config
