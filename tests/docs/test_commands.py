"""Command lines of lbproxy in README.md and docs/: the commands, their options and their arguments are there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click
import pytest

from lbproxy.cli import COMMANDS, main

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md")))

_INLINE = re.compile(r"`(lbproxy [a-z][^`]*)`")
_BEFORE = re.compile(r"^\s*(?:[$#] )?(?:sudo |exec )?(?:\S+/bin/)?(?=lbproxy [a-z])")
_SHELL = {"|", ">", ">>", "&&", "&", ";", "2>&1", "..."}


class Line(NamedTuple):
    page: str
    text: str


def lines() -> Iterator[Line]:
    """Whole command lines, those that go on after a backslash too."""
    for page in PAGES:
        name, prose = str(page.relative_to(ROOT)), []
        for number, part in enumerate(re.split(r"^ *```", page.read_text(), flags=re.MULTILINE)):
            language, _, block = part.partition("\n")
            if number % 2 == 0:
                prose.append(part)
            elif language in ("", "sh", "console"):
                joined = re.sub(r"\\\n\s*", "", block)
                found = [(match, line) for line in joined.splitlines() if (match := _BEFORE.match(line))]
                yield from (Line(name, line[match.end() :]) for match, line in found)
        yield from (Line(name, " ".join(text.split())) for text in _INLINE.findall("".join(prose)))


LINES = sorted(set(lines()))


def arguments(line: str) -> list[str]:
    """Those of the command itself: what the shell takes is left out, and a comment."""
    words = shlex.split(line, comments=True)[1:]
    ends = (at for at, word in enumerate(words) if word in _SHELL or word[0] in "<>|")
    return words[: next(ends, len(words))]


def command(words: list[str]) -> tuple[click.Context, list[str]]:
    """The command that `words` name, and the rest of them."""
    found: click.Command = main
    context = click.Context(main, info_name="lbproxy")
    while isinstance(found, click.Group) and words and not words[0].startswith("-"):
        inner = found.get_command(context, words[0])
        if inner is None:
            raise click.UsageError(f"{found.name} has no command {words[0]}")
        found, context = inner, click.Context(inner, info_name=words[0], parent=context)
        words = words[1:]
    return context, words


def test_there_are_some() -> None:
    assert len(LINES) > 100
    assert {line.text.split()[1] for line in LINES} >= COMMANDS.keys() - {"help"}


@pytest.mark.parametrize("page", sorted({line.page for line in LINES}))
def test_they_are_ones_that_lbproxy_takes(page: str) -> None:
    wrong = {line.text: why for line in LINES if line.page == page and (why := complaint(line.text))}
    assert wrong == {}


def complaint(line: str) -> str:
    """Why lbproxy does not take it; empty if it does. It may end after an option's name, in a sentence about it."""
    try:
        context, words = command(arguments(line))
        if isinstance(context.command, click.Group):
            return "" if set(words) <= {"--help", "--version"} else f"no options: {words}"
        values, more, _ = context.command.make_parser(context).parse_args(words)
    except click.BadOptionUsage as error:
        return "" if line.endswith(error.option_name) else str(error)
    except (ValueError, click.UsageError) as error:
        return str(error)
    wrong = [it.name for it in context.command.params if not _may_be(it.type, values.get(it.name or ""))]
    return f"more arguments than it takes: {more}" if more else f"no choice: {wrong}" if wrong else ""


def _may_be(kind: click.ParamType[object], value: object) -> bool:
    """Whether `value` is one of a choice; a word in capital letters stands for any."""
    return not isinstance(kind, click.Choice) or not isinstance(value, str) or value.isupper() or value in kind.choices


def test_it_sees_what_is_wrong() -> None:
    told = (
        "lbproxy status --wide x",
        "lbproxy stats",
        "lbproxy status --wid",
        "lbproxy log-level loud",
        "lbproxy run 'x",
    )
    assert all(complaint(line) for line in told), [complaint(line) for line in told]
