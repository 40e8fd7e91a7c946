"""A list of backends as text, JSON or TOML, to members."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from typing import Any

from lbproxy.balance.member import Member

_TYPES: Mapping[str, type] = {"name": str, "url": str, "weight": int, "standby": bool}
_WORDS = {str: "a string", int: "a whole number", bool: "true or false"}


def parse_list(content: bytes, toml: bool) -> tuple[Member, ...]:
    """The members in `content`; ValueError says what is wrong, and where.

    JSON: a list of objects, or an object with such a list under "backends". TOML: a list of tables, `backends`.
    Whether a pool can have the members is not said.
    """
    try:
        text = content.decode("utf-8-sig")  # editors on Windows may put a byte order mark first
        found: Any = tomllib.loads(text) if toml else json.loads(text)
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start} is not UTF-8") from None
    except ValueError as error:  # tomllib.TOMLDecodeError and json.JSONDecodeError are
        raise ValueError(f"it is not {'TOML' if toml else 'JSON'}: {error}") from None
    except RecursionError:
        raise ValueError("lists or tables within each other, too deep") from None
    entries = _entries(found)
    return tuple(_member(position, entry) for position, entry in enumerate(entries))


def _entries(found: Any) -> list[Any]:
    if isinstance(found, dict):
        if "backends" not in found:
            raise ValueError("it has no backends")
        if others := found.keys() - {"backends"}:
            raise ValueError(f"unknown key {sorted(others)[0]!r} beside backends")
        found = found["backends"]
    if not isinstance(found, list):
        raise ValueError("backends must be a list")
    return found


def _member(position: int, entry: Any) -> Member:
    where = f"backends[{position}]"
    if not isinstance(entry, dict):
        raise ValueError(f"{where} must be a table with name and url")
    for key, value in entry.items():
        if key not in _TYPES:
            raise ValueError(f"{where}.{key}: unknown key; there are {', '.join(_TYPES)}")
        if type(value) is not _TYPES[key]:  # True is an int too
            raise ValueError(f"{where}.{key} must be {_WORDS[_TYPES[key]]}")
    for key in ("name", "url"):
        if key not in entry:
            raise ValueError(f"{where}.{key} is missing")
    return Member(entry["name"], entry["url"].removesuffix("/"), entry.get("weight", 1), entry.get("standby", False))
