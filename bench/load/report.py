"""Tables of a run, and of two runs beside each other; on paper they are Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.table import Table

from bench.load.outcome import Outcome, Result, ratio
from bench.load.peers import REFERENCE


def table(outcome: Outcome, max_spread: float) -> Table:
    """A row for each scenario and peer; the ratio to the reference, or why there is none."""
    shown = _table("scenario", "proxy")
    for heading in ("CPU us/request", "spread", "requests/s", "busy", "p50 ms", "p99 ms", "p99.9 ms", "memory MB"):
        shown.add_column(heading, justify="right")
    shown.add_column(f"CPU to {REFERENCE}")
    for result in outcome.results:
        compared = ratio(result, outcome.of(result.scenario, REFERENCE), max_spread)
        shown.add_row(result.scenario, result.peer, *_figures(result), _ratio(compared))
    return shown


def comparison(old: Outcome, new: Outcome, max_spread: float) -> Table:
    """What two runs have in common. Their microseconds may differ by the day; their ratios should not."""
    shown = _table("scenario", "proxy")
    for heading in ("CPU us/request", "then", f"CPU to {REFERENCE}", "then", "change of the ratio"):
        shown.add_column(heading, justify="right")
    for before, after in _common(old, new):
        now = ratio(after, new.of(after.scenario, REFERENCE), max_spread)
        then = ratio(before, old.of(before.scenario, REFERENCE), max_spread)
        costs = (f"{after.cpu_us:.1f}", f"{before.cpu_us:.1f}")
        shown.add_row(after.scenario, after.peer, *costs, _ratio(now), _ratio(then), _change(then, now))
    return shown


def heading(outcome: Outcome) -> str:
    """What the figures depend on and what could not be measured, one thing a line."""
    lines = [f"- {key}: {_flat(value)}" for key, value in outcome.about.items()]
    negotiated = {result.peer: result.tls for result in outcome.results if result.tls}
    lines += [f"- tls: {_flat(negotiated)}"] if negotiated else []
    lines += [f"- NOT MEASURED: {scenario}: {why}" for scenario, why in outcome.failures.items()]
    return "\n".join(lines)


def _table(*headings: str) -> Table:
    return Table(*headings, box=box.MARKDOWN)


def _figures(result: Result) -> tuple[str, ...]:
    latencies = (f"{result.latency_us(percentile) / 1000:.2f}" for percentile in ("p50", "p99", "p999"))
    return (
        f"{result.cpu_us:.1f}",
        f"{result.spread:.2f}",
        f"{result.requests_per_second:,.0f}",
        f"{result.busy:.0%}",
        *latencies,
        f"{result.pss_bytes / 1e6:.1f}",
    )


def _ratio(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.2f}"


def _change(then: float | str, now: float | str) -> str:
    return "" if isinstance(then, str) or isinstance(now, str) else f"{now / then - 1:+.1%}"


def _common(old: Outcome, new: Outcome) -> Iterator[tuple[Result, Result]]:
    for after in new.results:
        before = old.of(after.scenario, after.peer)
        if before is not None:
            yield before, after


def _flat(value: object) -> str:
    return ", ".join(f"{key} {item}" for key, item in value.items()) if isinstance(value, dict) else str(value)
