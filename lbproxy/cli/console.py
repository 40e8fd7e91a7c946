"""What commands print, and how it is kept harmless."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.text import Text

_WIDTH = 160  # columns where there is no terminal to ask


def output(literal: bool = False) -> Console:
    """Standard output: what was asked for. literal: strings are shown as they are, without markup or colours."""
    return Console(width=None if sys.stdout.isatty() else _WIDTH, markup=not literal, highlight=not literal)


def progress() -> Console:
    """Standard error: what is going on meanwhile."""
    return Console(stderr=True, width=None if sys.stderr.isatty() else _WIDTH)


def plain(value: str) -> Text:
    """`value` without markup, and without what could steer the terminal: parts of it may come from a backend."""
    return Text("".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in value))
