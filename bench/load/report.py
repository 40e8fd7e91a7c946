"""Tables of an outcome; on paper they are Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table

from bench.load.outcome import Outcome, Result
from bench.load.peers import AS_BASE, REFERENCE
from bench.load.ratio import Ratio, ratio
from bench.load.worst import OWN, longest, shown, worst


def table(outcome: Outcome) -> Table:
    """A row for each scenario and peer; the ratio to the reference, or why there is none.

    Of several runs, each scenario's rows are of the one in which lbproxy's ratio to the reference was the worst.
    """
    made = _table("scenario", "proxy")
    for heading in (
        "CPU us/request",
        "requests/s and core",
        "requests/s",
        "busy",
        "p50 ms",
        "p99 ms",
        "p99.9 ms",
        "memory MB",
    ):
        made.add_column(heading, justify="right")
    made.add_column(f"CPU to {REFERENCE}")
    for scenario in outcome.scenarios:
        results = shown(outcome, scenario)
        reference = next((result for result in results if result.peer == REFERENCE), None)
        for result in results:
            made.add_row(scenario, result.peer, *_figures(result), _compared(result, reference))
    return made


def summary(outcome: Outcome) -> Table:
    """A row for each scenario: what lbproxy costs, and the ratio of that to what each of the others costs.

    Of several runs, each ratio is the worst one, and the cost that of the run which `table` shows.
    """
    others = [peer for peer in outcome.peers if peer != OWN]
    made = _table("scenario")
    for heading in ("lbproxy us/request", *(f"to {peer}" for peer in others)):
        made.add_column(heading, justify="right")
    for scenario in outcome.scenarios:
        cost = [f"{result.cpu_us:.1f}" for result in shown(outcome, scenario) if result.peer == OWN]
        made.add_row(scenario, *(cost or [""]), *(str(worst(outcome, scenario, peer)) for peer in others))
    return made


def beside(outcome: Outcome) -> Table | None:
    """A row for each scenario with small requests beside its load, kind of connection and peer; None: there are none.

    lbproxy's rows have its p50 and p99 over those of each other peer. Of several runs, the one is shown in which
    lbproxy's p99 on new connections was the longest.
    """
    others = [peer for peer in outcome.peers if peer not in (OWN, AS_BASE)]
    made = _table("scenario", "connections", "proxy")
    for heading in ("p50 ms", "p99 ms", *(f"p50, p99 to {peer}" for peer in others)):
        made.add_column(heading, justify="right")
    for scenario in outcome.scenarios:
        results = longest(outcome, scenario)
        for kind in results[0].beside:
            for result in results:
                made.add_row(scenario, kind, result.peer, *_waits(result, results, kind, others))
    return made if made.row_count else None


def _waits(result: Result, results: Sequence[Result], kind: str, others: Sequence[str]) -> list[str]:
    own = [result.beside_us(kind, percentile) for percentile in ("p50", "p99")]
    cells = [f"{wait / 1000:.1f}" for wait in own]
    if result.peer != OWN:
        return cells
    for peer in others:
        found = [one for one in results if one.peer == peer]
        ratios = [
            wait / found[0].beside_us(kind, name) for wait, name in zip(own, ("p50", "p99"), strict=True) if found
        ]
        cells.append(", ".join(f"{ratio:.2f}" for ratio in ratios))
    return cells


def heading(outcome: Outcome) -> str:
    """What the figures depend on and what could not be measured, one thing a line."""
    lines = [f"- {key}: {_flat(value)}" for key, value in outcome.about.items()]
    if len(outcome.runs) > 1:
        lines.append(f"- runs: {len(outcome.runs)}; of each scenario the worst one for lbproxy")
    negotiated = {result.peer: result.tls for run in outcome.runs for result in run.results if result.tls}
    lines += [f"- tls: {_flat(negotiated)}"] if negotiated else []
    failures = [(n, *failure) for n, run in enumerate(outcome.runs, 1) for failure in run.failures.items()]
    lines += [f"- NOT MEASURED in run {n}: {scenario}: {why}" for n, scenario, why in failures]
    return "\n".join(lines)


def _table(*headings: str) -> Table:
    return Table(*headings, box=box.MARKDOWN)


def _figures(result: Result) -> tuple[str, ...]:
    latencies = (f"{result.latency_us(percentile) / 1000:.2f}" for percentile in ("p50", "p99", "p999"))
    return (
        f"{result.cpu_us:.1f}",
        f"{1e6 / result.cpu_us:,.0f}",
        f"{result.requests_per_second:,.0f}",
        f"{result.busy:.0%}",
        *latencies,
        f"{result.pss_bytes / 1e6:.1f}",
    )


def _compared(result: Result, reference: Result | None) -> str:
    if result.peer == AS_BASE:  # the reference did other work
        return ""
    found = ratio(result, reference)
    return f"{found} ({found.between})" if isinstance(found, Ratio) else found


def _flat(value: object) -> str:
    return ", ".join(f"{key} {item}" for key, item in value.items()) if isinstance(value, dict) else str(value)
