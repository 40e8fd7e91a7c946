"""Where tables are printed."""

from __future__ import annotations

import os

from rich.console import Console
from rich.table import Table

_WIDTH = 160  # characters of a table that goes to a file or a pipe, which has no width of its own


def console() -> Console:
    """Standard output."""
    return Console() if os.isatty(1) else Console(width=_WIDTH)


def show(lines: str, table: Table) -> None:
    """Print `lines` as they are, however long, and the table below them."""
    out = console()
    out.print(lines, soft_wrap=True, highlight=False, markup=False)
    out.print(table)
