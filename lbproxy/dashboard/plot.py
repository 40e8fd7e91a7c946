"""Plots as SVG, made here: a browser that runs no script shows them too, and each says in words what it shows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from markupsafe import Markup, escape

from lbproxy.control.waits import time_of

MINUTES = 60
"""Columns of a plot."""

_HEIGHT = 40


def latency(p50: Sequence[float | None], p99: Sequence[float | None]) -> Markup:
    """Two lines: percentiles in seconds, a minute each, the last one now."""
    known = [value for value in p99 if value is not None]
    if not known:
        return _svg("No answer in the last hour", Markup(""))
    label = f"p99 in the last hour: {time_of(min(known))} to {time_of(max(known))}, last {time_of(known[-1])}"
    top = max(known)
    return _svg(label, _line("p99", p99, top) + _line("p50", p50, top))


def errors(answers: Sequence[int], server_errors: Sequence[int]) -> Markup:
    """Bars: the part of the answers that were 5xx."""
    parts = [bad / all_ if all_ else 0.0 for all_, bad in zip(answers, server_errors, strict=True)]
    total = sum(server_errors)
    if not total:
        return _svg("No 5xx in the last hour", Markup(""))
    return _svg(
        f"5xx in the last hour: {total}, at most {max(parts):.0%} of the answers of a minute", _bars(parts, 1.0)
    )


def requests(answers: Sequence[int], every: float = 60.0) -> Markup:
    """Bars: answers a second."""
    most = max(answers, default=0)
    if not most:
        return _svg("No answer in the last hour", Markup(""))
    label = f"Answers a second in the last hour: at most {most / every:.1f}, last {answers[-1] / every:.1f}"
    return _svg(label, _bars([float(value) for value in answers], float(most)))


def _svg(label: str, inner: Markup) -> Markup:
    return Markup(
        f'<svg class="plot" viewBox="0 0 {MINUTES} {_HEIGHT}" preserveAspectRatio="none" role="img"'
        f' aria-label="{escape(label)}"><title>{escape(label)}</title>{inner}</svg>'
    )


def _x(position: int, count: int) -> int:
    return MINUTES - count + position


def _line(name: str, values: Sequence[float | None], top: float) -> Markup:
    """A line with a gap wherever there is no value."""
    values = values[-MINUTES:]
    drawn = []
    for there, group in groupby(enumerate(values), lambda one: one[1] is not None):
        if there:
            points = [
                (_x(at, len(values)), _HEIGHT - (_HEIGHT - 2) * (value or 0.0) / (top or 1.0)) for at, value in group
            ]
            first, *others = points
            others = others or [(first[0] + 1, first[1])]
            drawn.append(f"M{first[0]} {first[1]:.1f}" + "".join(f"L{x} {y:.1f}" for x, y in others))
    return Markup(f'<path class="{escape(name)}" d="{"".join(drawn)}" vector-effect="non-scaling-stroke"/>')


def _bars(values: Sequence[float], top: float) -> Markup:
    values = values[-MINUTES:]
    return Markup("").join(
        _bar(_x(at, len(values)), (_HEIGHT - 1) * value / (top or 1.0)) for at, value in enumerate(values) if value
    )


def _bar(x: int, height: float) -> Markup:
    return Markup(f'<rect class="bar" x="{x}" y="{_HEIGHT - height:.1f}" width="0.9" height="{height:.1f}"/>')
