"""What was understood of another proxy's configuration, and what could not be carried over, as a commented file."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

Value = str | int | bool | list[str] | list[int | str]

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_LONGEST = 200  # characters of a directive that is quoted


@dataclass(frozen=True, slots=True)
class Note:
    """A directive at `line` that the draft does not have, and what lbproxy does instead."""

    line: int
    directive: str
    why: str


@dataclass(slots=True)
class Backend:
    """An entry of `backends`: host:port, and what the others do not have."""

    name: str
    address: str
    weight: int = 1
    standby: bool = False


@dataclass(slots=True)
class Pool:
    """[pool.NAME]; `keys` are its own, `tls` and `check` those of its tables. scheme: http, https or tcp."""

    name: str
    scheme: str = "http"
    backends: list[Backend] = field(default_factory=list)
    keys: dict[str, Value] = field(default_factory=dict)
    tls: dict[str, Value] = field(default_factory=dict)
    check: dict[str, Value] = field(default_factory=dict)


@dataclass(slots=True)
class Listener:
    """[listener.NAME]; `sni` is the pool of each server name."""

    name: str
    keys: dict[str, Value] = field(default_factory=dict)
    tls: dict[str, Value] = field(default_factory=dict)
    sni: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Migration:
    """The whole draft. server_url: "" where the other file has none."""

    source: str
    server_url: str = ""
    listeners: list[Listener] = field(default_factory=list)
    pools: dict[str, Pool] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)

    def note(self, line: int, directive: str, why: str) -> None:
        """Say that a directive is not in the draft."""
        self.notes.append(Note(line, directive, why))

    def listen(self, listener: Listener) -> None:
        """Add it, under a name that no other has: servers of nginx may have one name and two ports."""
        taken = {one.name for one in self.listeners}
        names = (listener.name if count == 1 else f"{listener.name}-{count}" for count in itertools.count(1))
        listener.name = next(name for name in names if name not in taken)
        self.listeners.append(listener)

    def toml(self) -> str:
        """The file; each line of what is missing begins with "# NOT CARRIED:", and a value to fill in has "CHANGE"."""
        return "\n".join([*self._top(), *self._listeners(), *self._pools()]).rstrip("\n") + "\n"

    def _top(self) -> Iterator[str]:
        yield _comment(f"A draft made from {self.source}. Read it, then: lbproxy check -c FILE")
        for note in self.notes:
            yield _comment(f"NOT CARRIED: line {note.line}: {_short(note.directive)}: {note.why}")
        yield ""
        if self.server_url:
            yield "# The one address that users and the identity provider know."
            yield f"server_url = {_text(self.server_url)}"
        else:
            yield "# CHANGE this to the one address that users and the identity provider know; only its host is served."
            yield 'server_url = "https://login.corp.example"'
        yield ""

    def _listeners(self) -> Iterator[str]:
        for listener in self.listeners:
            where = f"listener.{_key(listener.name)}"
            yield from _table(where, listener.keys)
            yield from _table(f"{where}.tls", listener.tls) if listener.tls else ()
            yield from _table(f"{where}.sni", listener.sni) if listener.sni else ()

    def _pools(self) -> Iterator[str]:
        for pool in self.pools.values():
            where = f"pool.{_key(pool.name)}"
            yield f"[{where}]"
            yield "backends = ["
            yield from (_backend(pool.scheme, backend) for backend in pool.backends)
            yield "]"
            yield from _pairs(pool.keys)
            yield ""
            yield from _table(f"{where}.tls", pool.tls) if pool.tls else ()
            if pool.check.get("kind", "http") == "tcp":
                yield '# Better: a page that needs no sign-in (kind = "http"), or signs in ("kerberos").'
            yield from _table(f"{where}.check", pool.check)


def whole_number(text: str, least: int, most: int, default: int) -> int:
    """The number that `text` is, within limits; `default` for what is none."""
    return max(least, min(int(text), most)) if text.isascii() and text.isdigit() else default


def name_of(text: str) -> str:
    """A name that lbproxy takes, from one of another proxy."""
    return re.sub(r"[^A-Za-z0-9_.-]", "-", text).strip("-.") or "unnamed"


def _table(name: str, pairs: Mapping[str, Value]) -> Iterator[str]:
    yield f"[{name}]"
    yield from _pairs(pairs)
    yield ""


def _pairs(pairs: Mapping[str, Value]) -> Iterator[str]:
    for key, value in pairs.items():
        yield f"{_key(key)} = {_text(value)}"


def _backend(scheme: str, backend: Backend) -> str:
    more = f", weight = {backend.weight}" if backend.weight != 1 else ""
    more += ", standby = true" if backend.standby else ""
    return f"  {{ name = {_text(backend.name)}, url = {_text(f'{scheme}://{backend.address}')}{more} }},"


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _text(name)


def _text(value: object) -> str:
    """A value of TOML; strings, numbers, booleans and lists of them are written as in JSON, and all can be printed."""
    return "".join(one if one.isprintable() else _escaped(one) for one in json.dumps(value, ensure_ascii=False))


def _escaped(character: str) -> str:
    """As TOML's strings have it: JSON leaves DEL as it is, which TOML refuses."""
    return f"\\U{ord(character):08x}"


def _comment(text: str) -> str:
    """One line, whatever the other file has in quotes: what follows a line break would be a line of the draft."""
    return "# " + "".join(one if one.isprintable() else " " for one in text)


def _short(directive: str) -> str:
    return directive if len(directive) <= _LONGEST else f"{directive[:_LONGEST]}..."
