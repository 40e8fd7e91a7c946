"""Where a key stands in the document, and how that is written for people."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

Location = tuple[str | int, ...]
"""The way from the document's root to a key: ("pool", "connectors", "backends", 1, "url")."""

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def full_name(location: Location) -> str:
    """`location` as written in messages: pool.connectors.backends[1].url, quoted where TOML wants quotes."""
    name = ""
    for part in location:
        if isinstance(part, int):
            name += f"[{part}]"
        else:
            name += "." * bool(name) + (part if _BARE_KEY.fullmatch(part) else json.dumps(part))
    return name


def walk(value: object, location: Location = ()) -> Iterator[tuple[Location, object]]:
    """Every key below `value`, tables and lists included, each before what it holds."""
    for key, inner in _children(value):
        yield (*location, key), inner
        yield from walk(inner, (*location, key))


def subtables(document: Mapping[str, object], key: str) -> Iterator[tuple[str, Mapping[str, object]]]:
    """The named tables under `key`, as in [listener.NAME]; what is not a table is left to the models to refuse."""
    outer = document.get(key)
    if isinstance(outer, Mapping):
        yield from ((name, inner) for name, inner in outer.items() if isinstance(inner, Mapping))


def _children(value: object) -> Iterator[tuple[str | int, object]]:
    if isinstance(value, Mapping):
        yield from value.items()
    elif isinstance(value, list):
        yield from enumerate(value)
