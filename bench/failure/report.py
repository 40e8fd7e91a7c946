"""The table of a run, on paper as Markdown, and its JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from bench.failure.figures import Figures

_HEADINGS = (
    "GETs failed",
    "POSTs failed",
    "of them unreached",
    "POSTs run twice",
    "p50 ms",
    "p99 ms",
    "ejected after s",
    "back after s",
)


@dataclass(frozen=True, slots=True)
class Row:
    """A case by the names of its fault, proxy and setting; `why` says why it has no figures."""

    fault: str
    proxy: str
    best: bool
    figures: Figures | None
    why: str = ""

    @property
    def configuration(self) -> str:
        return "best" if self.best else "default"


def table(rows: Sequence[Row]) -> Table:
    """A line for each case that was played, in the order of `rows`."""
    shown = Table("fault", "proxy", "configuration", box=box.MARKDOWN)
    for heading in _HEADINGS:
        shown.add_column(heading, justify="right")
    for row in rows:
        if row.figures is not None:
            shown.add_row(row.fault, row.proxy, row.configuration, *_cells(row.figures))
    return shown


def heading(about: Mapping[str, Any], rows: Sequence[Row]) -> str:
    """What the figures depend on, and which cases could not be played, one thing a line."""
    lines = [f"- {key}: {_flat(value)}" for key, value in about.items()]
    lines += [f"- NOT PLAYED: {row.fault}, {row.proxy} {row.configuration}: {row.why}" for row in rows if row.why]
    return "\n".join(lines)


def save(path: Path, about: Mapping[str, Any], rows: Sequence[Row]) -> None:
    """Everything as JSON, with the kinds of failure that the table has no room for."""
    document = {"about": about, "cases": [asdict(row) for row in rows]}
    path.write_text(json.dumps(document, indent=1) + "\n")


def _cells(figures: Figures) -> list[str]:
    return [
        _share(figures.gets_failed, figures.gets),
        _share(figures.posts_failed, figures.posts),
        str(figures.posts_unreached),
        str(figures.posts_twice),
        f"{figures.p50 * 1000:,.0f}",
        f"{figures.p99 * 1000:,.0f}",
        _time(figures.eject, figures.watched),
        _time(figures.readmit, figures.watched and figures.eject is not None),
    ]


def _share(failed: int, of: int) -> str:
    return f"{failed} of {of:,}"


def _time(seconds: float | None, known: bool) -> str:
    if not known:
        return ""
    return "never" if seconds is None else f"{seconds:.2f}"


def _flat(value: object) -> str:
    return ", ".join(f"{key} {item}" for key, item in value.items()) if isinstance(value, dict) else str(value)
