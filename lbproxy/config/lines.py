"""The line of each key in the text of a TOML file, which tomllib does not give.

The text is one that tomllib has accepted, so nothing is judged here. The parsers that keep positions keep everything
else too, white space and comments, and take twenty times as long; what is needed of TOML's grammar is below.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator
from functools import cached_property
from typing import NamedTuple

from lbproxy.config.keys import Location, full_name
from lbproxy.errors import Problem

_TOKEN = re.compile(
    r"""
    (?P<nothing> [ \t\r]+ | \#[^\n]* )
  | (?P<end> \n )
  | (?P<text> \"{3} (?: [^\\] | \\. )*? \"{3,5} | '{3} .*? '{3,5} | " (?: [^"\\\n] | \\. )* " | '[^'\n]*' )
  | (?P<sign> [\[\]{},=.] )
  | (?P<word> [^\s\[\]{},=.\"'\#]+ )
    """,
    re.VERBOSE | re.DOTALL,
)


class Lines:
    """Where keys are in `text`. `left_out`: entries of lists that the configuration does not have."""

    def __init__(self, text: str = "", left_out: Collection[Location] = ()) -> None:
        self._text = text
        self._left_out: dict[Location, list[int]] = {}  # by the list
        for *outer, position in sorted(left_out):
            assert isinstance(position, int)
            self._left_out.setdefault(tuple(outer), []).append(position)

    def __repr__(self) -> str:
        return f"<lines of {len(self._text)} characters>"

    def __eq__(self, other: object) -> bool:
        """Configurations that say the same are equal, wherever in their files they say it."""
        return isinstance(other, Lines)

    __hash__ = None  # type: ignore[assignment]

    def of(self, where: str) -> int | None:
        """The line of a key by its full name, or of the innermost table in which the file lacks it; from 1.

        None: the file has neither, as for a missing key at its top.
        """
        while where:
            if where in self._by_name:
                return self._by_name[where]
            where = where[: max(where.rfind("."), where.rfind("["), 0)]
        return None

    def located(self, problems: Iterable[Problem]) -> Iterator[Problem]:
        """`problems` with the lines of their keys."""
        return (problem._replace(line=self.of(problem.where)) for problem in problems)

    @cached_property
    def _by_name(self) -> dict[str, int]:
        found = _Reader(self._text).read()
        names = ((self._counted(location), line) for location, line in found.items())
        return {full_name(location): line for location, line in names if location is not None}

    def _counted(self, location: Location) -> Location | None:
        """`location` as it is without what is left out; None for what is left out itself."""
        parts: list[str | int] = []
        for depth, part in enumerate(location):
            if isinstance(part, int):
                gone = self._left_out.get(location[:depth], ())
                before = bisect_left(gone, part)
                if before < len(gone) and gone[before] == part:
                    return None
                part -= before
            parts.append(part)
        return tuple(parts)


class _Token(NamedTuple):
    kind: str | None
    text: str
    line: int


_LAST = _Token("end", "", 0)


def _tokens(text: str) -> Iterator[_Token]:
    line = 1
    for match in _TOKEN.finditer(text):
        if match.lastgroup != "nothing":
            yield _Token(match.lastgroup, match[0], line)
        line += match[0].count("\n")


class _Reader:
    """Follows the grammar only as far as to know which key a value belongs to."""

    def __init__(self, text: str) -> None:
        self._rest = _tokens(text)
        self._next = next(self._rest, _LAST)
        self._found: dict[Location, int] = {}
        self._lengths: dict[Location, int] = {}  # of arrays of tables, [[NAME]]

    def read(self) -> dict[Location, int]:
        table: Location = ()
        while self._next is not _LAST:
            if self._next.kind == "end":
                self._take()
            elif self._next.text == "[":
                table = self._header()
            else:
                self._pair(table)
        return self._found

    def _take(self) -> _Token:
        token, self._next = self._next, next(self._rest, _LAST)
        return token

    def _header(self) -> Location:
        line = self._take().line
        is_entry = self._next.text == "["
        if is_entry:
            self._take()
        *outer, last = self._key()
        table: Location = ()
        for part in outer:
            table = self._entered((*table, part))
        table = (*table, last)
        if is_entry:
            self._lengths[table] = self._lengths.get(table, 0) + 1
        self._note(table, line)
        table = self._entered(table)
        self._note(table, line)
        while self._next.kind != "end":
            self._take()
        return table

    def _entered(self, table: Location) -> Location:
        """The last entry of an array of tables; any other table as it is."""
        return (*table, self._lengths[table] - 1) if table in self._lengths else table

    def _pair(self, table: Location) -> None:
        line = self._next.line
        for part in self._key():
            table = (*table, part)
            self._note(table, line)
        self._take()  # =
        self._value(table)

    def _key(self) -> list[str]:
        parts = [self._part()]
        while self._next.text == ".":
            self._take()
            parts.append(self._part())
        return parts

    def _part(self) -> str:
        token = self._take()
        if token.kind == "text":
            return str(tomllib.loads(f"key = {token.text}")["key"])
        return token.text

    def _value(self, where: Location) -> None:
        if self._next.text == "[":
            self._array(where)
        elif self._next.text == "{":
            self._inline_table(where)
        else:  # a number may have a point in it, a date a space
            while self._next.kind != "end" and self._next.text not in (",", "]", "}"):
                self._take()

    def _array(self, where: Location) -> None:
        self._take()
        position = 0
        while self._next.text != "]" and self._next is not _LAST:
            if self._next.text == ",":
                self._take()
                position += 1
            elif self._next.kind == "end":
                self._take()
            else:
                self._note((*where, position), self._next.line)
                self._value((*where, position))
        self._take()

    def _inline_table(self, where: Location) -> None:
        self._take()
        while self._next.text != "}" and self._next is not _LAST:
            if self._next.text == "," or self._next.kind == "end":
                self._take()
            else:
                self._pair(where)
        self._take()

    def _note(self, where: Location, line: int) -> None:
        self._found.setdefault(where, line)
