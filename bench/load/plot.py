"""A run as a picture: for each scenario a bar a proxy, as long as its CPU time a request is to the reference's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bench.load.outcome import Outcome, Result
from bench.load.peers import PEERS, REFERENCE
from bench.load.ratio import Ratio, ratio
from bench.load.worst import shown
from bench.svg import bar, document, text

_COLOURS: Mapping[str, str] = dict(
    zip(PEERS, ("#1f6feb", "#3fa34d", "#d9822b", "#8e44ad", "#7a869a", "#c2407e"), strict=True)
)
_LEFT = 150  # pixels for the names
_UNIT = 110  # pixels that stand for a ratio of 1
_LONGEST = 6.0  # a bar that would be longer is cut; its figure stands beside it
_ROW = 14
_GAP = 10
_WIDTH = _LEFT + int(_LONGEST * _UNIT) + 170


def svg(outcome: Outcome) -> str:
    """An SVG document. A result of which no ratio may be made has its reason in the place of the bar.

    Of several runs, each scenario is of the one in which lbproxy's ratio to the reference was the worst.
    """
    parts: list[str] = []
    y = 40
    for scenario in outcome.scenarios:
        results = {result.peer: result for result in shown(outcome, scenario) if result.peer in PEERS}
        parts.append(text(0, y + _ROW - 3, scenario, weight="bold"))
        for result in results.values():
            parts += _bar(result, ratio(result, results.get(REFERENCE)), y)
            y += _ROW
        y += _GAP
    title = f"CPU time a request, as a ratio to {REFERENCE} in the same run (shorter is better)"
    return document(title, _WIDTH, y, [*_scale(y), *parts])


def _scale(height: int) -> Iterator[str]:
    for value in range(int(_LONGEST) + 1):
        x = _LEFT + value * _UNIT
        colour = "#444" if value == 1 else "#ddd"
        yield f'<line x1="{x}" y1="34" x2="{x}" y2="{height}" stroke="{colour}"/>{text(x - 3, 30, str(value))}'


def _bar(result: Result, compared: Ratio | str, y: int) -> Iterator[str]:
    yield text(_LEFT - 50, y + _ROW - 3, result.peer)
    if isinstance(compared, str):
        yield text(_LEFT + 4, y + _ROW - 3, compared or f"no {REFERENCE} to compare with")
        return
    width = min(compared.value, _LONGEST) * _UNIT
    yield bar(_LEFT, y + 2, width, _ROW - 4, _COLOURS[result.peer])
    yield text(_LEFT + width + 4, y + _ROW - 3, f"{compared} ({result.cpu_us:.1f} us)")
