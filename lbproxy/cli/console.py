"""What commands print, and how it is kept harmless."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:  # rich takes 30 ms, which a command that says one line does without
    from rich.console import Console
    from rich.text import Text

_WIDTH = 160  # columns where there is no terminal to ask


def output(literal: bool = False) -> Console:
    """Standard output: what was asked for. literal: strings are shown as they are, without markup or colours."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else _WIDTH, markup=not literal, highlight=not literal)


def progress() -> Console:
    """Standard error: what is going on meanwhile."""
    from rich.console import Console

    return Console(stderr=True, width=None if sys.stderr.isatty() else _WIDTH)


def say(line: str, err: bool = False) -> None:
    """One line on standard output, or on standard error, harmless as `plain` makes it."""
    click.echo(_printable(line), err=err)


def plain(value: str) -> Text:
    """`value` without markup, and without what could steer the terminal: parts of it may come from a backend."""
    from rich.text import Text

    return Text(_printable(value))


def _printable(value: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in value)
