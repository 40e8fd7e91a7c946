"""Where tables are printed."""

from __future__ import annotations

import os

from rich.console import Console

_WIDTH = 160  # characters of a table that goes to a file or a pipe, which has no width of its own


def console() -> Console:
    """Standard output."""
    return Console() if os.isatty(1) else Console(width=_WIDTH)
