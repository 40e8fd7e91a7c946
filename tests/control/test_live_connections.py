from __future__ import annotations

from lbproxy.control.live_connections import NO_CONNECTIONS, ConnectionQuery, ConnectionsView, merged
from tests.control.live import connection


def found(*ages: float, **changes: int) -> ConnectionsView:
    """What one process has found."""
    several = [connection(age_seconds=age) for age in ages]
    return {**NO_CONNECTIONS, "open": 10, "matched": len(ages), "connections": several, **changes}  # type: ignore[typeddict-item]


def ages(view: ConnectionsView) -> list[float]:
    return [one["age_seconds"] for one in view["connections"]]


def test_what_several_processes_have_is_one_answer() -> None:
    both = [found(5.0, 1.0, handshakes=2), found(7.0, 3.0, matched=50)]
    view = merged(both, ConnectionQuery(limit=3), 1)
    assert ages(view) == [7.0, 5.0, 3.0]
    assert (view["open"], view["matched"], view["handshakes"], view["unanswered"]) == (20, 52, 2, 1)
    assert ages(merged(both, ConnectionQuery(limit=3, newest=True))) == [1.0, 3.0, 5.0]


def test_of_none_there_is_nothing() -> None:
    assert merged([], ConnectionQuery()) == NO_CONNECTIONS
