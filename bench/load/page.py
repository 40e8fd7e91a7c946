"""An outcome's tables inside a page of documentation, between two marks that are comments of Markdown."""

from __future__ import annotations

import os
from pathlib import Path

from bench.console import markdown
from bench.errors import BenchError
from bench.load.outcome import Outcome
from bench.load.report import beside, heading, summary, table
from bench.load.targets import standing

BEGIN = "<!-- make bench writes from here -->"
END = "<!-- to here -->"


def check_page(path: Path) -> None:
    """BenchError when `path` is no page with the marks: better said before a run than after it."""
    _around(path)


def write_page(outcome: Outcome, path: Path, picture: Path) -> None:
    """Put the tables, and the picture, between the marks of the page at `path`, in the place of what is there."""
    before, after = _around(path)
    link = os.path.relpath(picture, path.parent)
    waits, targets = beside(outcome), standing(outcome)
    parts = (
        heading(outcome),
        *([markdown(targets)] if targets else []),
        markdown(summary(outcome)),
        *([markdown(waits)] if waits else []),
        f"![CPU time a request of all proxies, as ratios to nginx]({link})",
        "<details><summary>All figures</summary>",
        markdown(table(outcome)),
        "</details>",
    )
    path.write_text("\n\n".join((before + BEGIN, *parts, END + after)))


def _around(path: Path) -> tuple[str, str]:
    text = path.read_text() if path.exists() else ""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise BenchError(f"{path} has not the two lines that a table goes between: {BEGIN} and {END}")
    return before, after
