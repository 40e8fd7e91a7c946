"""The words and blocks of nginx.conf, whatever they mean."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from lbproxy.errors import MigrationError

_TOKEN = re.compile(
    r"""\s+|\#[^\n]*|(?P<mark>[;{}])|"(?P<double>(?:[^"\\]|\\.)*)"|'(?P<single>(?:[^'\\]|\\.)*)'"""
    r"""|(?P<word>(?:[^\s;{}"'\\$]|\\.|\$\{[^}]*\}|\$)(?:[^\s;{}\\$]|\\.|\$\{[^}]*\}|\$)*)""",
    re.DOTALL,
)
_DEEPEST = 20


@dataclass(slots=True)
class Directive:
    """name arguments; or name arguments { block }."""

    line: int
    name: str
    arguments: list[str]
    block: list[Directive] = field(default_factory=list)

    def all(self, name: str) -> Iterator[Directive]:
        """Those of `name` in its block."""
        return (one for one in self.block if one.name == name)

    def __str__(self) -> str:
        return " ".join([self.name, *self.arguments])


def parse(text: str, source: str) -> list[Directive]:
    """The directives outside of any block. Raises MigrationError, which names the line."""
    top = Directive(0, "", [])
    stack, words, begun = [top], list[str](), 1
    for line, mark, word in _tokens(text, source):
        if not mark:
            begun = begun if words else line
            words.append(word)
        elif mark == "}":
            if words or len(stack) == 1:
                raise MigrationError(f"{source}:{line}: unexpected }}")
            stack.pop()
        elif not words or len(stack) > _DEEPEST:
            raise MigrationError(f"{source}:{line}: unexpected {mark}")
        else:
            directive = Directive(begun, words[0], words[1:])
            stack[-1].block.append(directive)
            if mark == "{":
                stack.append(directive)
            words = []
    if words or len(stack) > 1:
        raise MigrationError(f"{source}: ends in the middle of {stack[-1].name or words[0]!r}")
    return top.block


def _tokens(text: str, source: str) -> Iterator[tuple[int, str, str]]:
    """Line, mark (one of ; { } or ""), word."""
    place, line = 0, 1
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise MigrationError(f"{source}:{line}: not understood: {text[place : place + 20]!r}")
        if match["mark"]:
            yield line, match["mark"], ""
        elif match.lastgroup:
            yield line, "", match[match.lastgroup]
        line += match[0].count("\n")
        place = match.end()
