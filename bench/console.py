"""Where tables are printed."""

from __future__ import annotations

import os
from io import StringIO

from rich.console import Console
from rich.table import Table

_WIDTH = 160  # characters of a table that goes to a file or a pipe, which has no width of its own


def console() -> Console:
    """Standard output."""
    return Console() if os.isatty(1) else Console(width=_WIDTH)


def show(lines: str, *tables: Table) -> None:
    """Print `lines` as they are, however long, and the tables below them."""
    out = console()
    out.print(lines, soft_wrap=True, highlight=False, markup=False)
    for table in tables:
        out.print(table)


def markdown(table: Table) -> str:
    """A table with box.MARKDOWN as it goes into a page: no line is wrapped."""
    out = Console(width=1000, file=StringIO())
    with out.capture() as captured:
        out.print(table)
    return "\n".join(line.rstrip() for line in captured.get().strip().splitlines())
