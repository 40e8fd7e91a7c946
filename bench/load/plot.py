"""A run as a picture: for each scenario a bar a proxy, as long as its CPU time a request is to the reference's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from itertools import groupby

from bench.load.outcome import Outcome, Result, ratio
from bench.load.peers import PEERS, REFERENCE

_COLOURS: Mapping[str, str] = dict(zip(PEERS, ("#1f6feb", "#3fa34d", "#d9822b", "#8e44ad", "#7a869a"), strict=True))
_LEFT = 150  # pixels for the names
_UNIT = 110  # pixels that stand for a ratio of 1
_LONGEST = 6.0  # a bar that would be longer is cut; its figure stands beside it
_ROW = 14
_GAP = 10
_WIDTH = _LEFT + int(_LONGEST * _UNIT) + 170


def svg(outcome: Outcome, max_spread: float) -> str:
    """An SVG document. A result of which no ratio may be made has its reason in the place of the bar."""
    parts: list[str] = []
    y = 40
    for scenario, results in groupby(outcome.results, key=lambda result: result.scenario):
        parts.append(_text(0, y + _ROW - 3, scenario, weight="bold"))
        for result in results:
            parts += _bar(result, ratio(result, outcome.of(scenario, REFERENCE), max_spread), y)
            y += _ROW
        y += _GAP
    return "\n".join((_head(y), *_scale(y), *parts, "</svg>", ""))


def _head(height: int) -> str:
    title = f"CPU time a request, as a ratio to {REFERENCE} in the same run (shorter is better)"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
        f'font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="white"/>'
        f"{_text(0, 14, title, weight='bold')}"
    )


def _scale(height: int) -> Iterator[str]:
    for value in range(int(_LONGEST) + 1):
        x = _LEFT + value * _UNIT
        colour = "#444" if value == 1 else "#ddd"
        yield f'<line x1="{x}" y1="34" x2="{x}" y2="{height}" stroke="{colour}"/>{_text(x - 3, 30, str(value))}'


def _bar(result: Result, compared: float | str, y: int) -> Iterator[str]:
    yield _text(_LEFT - 50, y + _ROW - 3, result.peer)
    if isinstance(compared, str):
        yield _text(_LEFT + 4, y + _ROW - 3, compared or f"no {REFERENCE} to compare with")
        return
    width = min(compared, _LONGEST) * _UNIT
    yield f'<rect x="{_LEFT}" y="{y + 2}" width="{width:.1f}" height="{_ROW - 4}" fill="{_COLOURS[result.peer]}"/>'
    yield _text(_LEFT + width + 4, y + _ROW - 3, f"{compared:.2f} ({result.cpu_us:.1f} us)")


def _text(x: float, y: float, text: str, weight: str = "normal") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-weight="{weight}">{escape(text)}</text>'
