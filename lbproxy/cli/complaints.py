"""What is wrong with a pool, and what is to say of its backends: a line each, below its table."""

from __future__ import annotations

import time
from collections.abc import Iterator

from rich.text import Text

from lbproxy.cli.console import plain
from lbproxy.cli.wording import discovery, duration, said, waiting_order
from lbproxy.control.snapshot import BackendView, PoolView


def complaints(pool: PoolView) -> Iterator[Text]:
    """A line for what is wrong with the pool's tickets, what its sources may not have, and for each backend.

    That is what operators said of it, why it is down, how its answers stand out, and how it is unlike the others.
    """
    tickets = pool["tickets"]
    if tickets is not None and tickets["reason_text"] is not None:
        since = duration(tickets["since_seconds"])
        yield plain(f"  kerberos, for {since}: {tickets['reason_text']} ({tickets['detail']})")
    yield from (plain(f"  {line}") for source in pool["discovery"] for line in discovery(source))
    if pool["consistency"] is not None and pool["consistency"]["updating"]:
        yield plain(
            "  an update is under way: until all are alike, nobody else is kept out for being unlike the others"
        )
    for source, sentences in pool["refused"].items():
        yield from (plain(f"  refused, from {source}: {sentence}") for sentence in sentences)
    for name, count in pool["departed"].items():
        yield plain(f"  {name} has left, and has {count} request{'' if count == 1 else 's'} to finish")
    yield from (plain(f"  {waiting_order(order, time.time())}") for order in pool["waiting_orders"])
    for backend in pool["backends"]:
        if told := said(backend, time.time()):
            yield plain(f"  {backend['name']}: {told}")
        why = ": ".join(part for part in (backend["reason_text"], backend["detail"]) if part)
        if why:
            yield plain(f"  {backend['name']}: {why}")
        if stands_out := pool["outliers"].get(backend["name"]):
            yield plain(f"  {backend['name']}: {'; '.join(stands_out)}")
        yield from _differences(pool, backend)
        protection = backend["extended_protection"]
        if protection is not None:
            yield plain(f"  {backend['name']}: extended protection {protection['verdict']}: {protection['text']}")


def _differences(pool: PoolView, backend: BackendView) -> Iterator[Text]:
    """What the consistency guard has found of a backend, and what it could not find out."""
    name = backend["name"]
    differences = [] if pool["consistency"] is None else pool["consistency"]["differences"]
    unlike = "; ".join(one["backends"][name] for one in differences if name in one["backends"])
    if backend["inconsistent"]:
        yield plain(f"  {name}: kept out, unlike the others: {unlike or backend['inconsistent']}")
    elif unlike:
        yield plain(f"  {name}: unlike the others: {unlike}")
    for fact, why in backend["unknown_facts"].items():
        yield plain(f"  {name}: {fact} is not known: {why}")
