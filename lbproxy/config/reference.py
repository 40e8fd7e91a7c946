"""What config/lbproxy.toml says of each key, for `lbproxy help KEY`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

_TABLE = re.compile(r"(?:#: )?\[([a-z0-9_.]+)\]")
_KEY = re.compile(r"(#: #|#: |#)?([a-z0-9_]+) = (.*)")
_KINDS: dict[str | None, Literal["default", "example"]] = {"#": "default", "#: #": "default"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A key or a table by its full name, in which NAME stands for one of the administrator's own.

    value: as TOML; "" for a table. kind: whether that is the default, or an example because there is none.
    """

    name: str
    value: str
    kind: Literal["default", "example", "table"]
    text: str


def entries(text: str | None = None) -> list[Entry]:
    """Every table and key of the reference file, in its order, each once; `text` stands in for that file."""
    if text is None:
        text = files("lbproxy.config").joinpath("reference.toml").read_text()
    found: dict[str, Entry] = {}
    for entry in _read(text.splitlines()):
        if entry.name not in found or not found[entry.name].text:
            found[entry.name] = entry
    return list(found.values())


def matching(wanted: str, among: list[Entry]) -> list[Entry]:
    """Those that `wanted` may mean: the full name, with any name in the place of NAME; else the end of a full name."""
    wanted = wanted.strip("[]")
    exact = [one for one in among if _generic(wanted) == one.name]
    return exact or [one for one in among if one.name.endswith(f".{wanted}")]


def _read(lines: list[str]) -> Iterator[Entry]:
    table, said, open_list, told = "", list[str](), False, False
    for line in lines:
        if open_list:
            open_list = line != "]"
        elif not line or line.startswith("# ---"):
            said = []
        elif match := _TABLE.fullmatch(line):
            table = _generic(match[1])
            yield Entry(table, "", "table", " ".join(said))
            said = []
        elif match := _KEY.fullmatch(line):
            prefix, key, value = match.groups()
            open_list, told = value == "[", True
            name = f"{table}.{key}" if table else key
            yield Entry(name, "[...]" if open_list else value, _KINDS.get(prefix, "example"), " ".join(said))
        elif line.startswith("# "):
            if told:  # what is said above a key is of all keys until the next comment
                said, told = [], False
            said.append(line[2:])


def _generic(name: str) -> str:
    return re.sub(r"^(listener|pool)\.[^.]+", r"\1.NAME", name)
