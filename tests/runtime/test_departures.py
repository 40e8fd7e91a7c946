from __future__ import annotations

from lbproxy import reasons
from lbproxy.balance.backend import Backend
from lbproxy.reasons import Reason
from lbproxy.runtime.departures import Departures


class Lanes:
    """What departures ask of a backend's lanes."""

    def __init__(self) -> None:
        self.idle: list[object] = []
        self.private = self.tunnels = 0

    def close_idle(self, reason: Reason) -> None:
        assert reason is reasons.LANE_BACKEND_LEFT
        self.idle.clear()


class Client:
    def __init__(self) -> None:
        self.cuts: list[tuple[str, Reason]] = []

    def cut(self, backend: Backend, reason: Reason) -> None:
        self.cuts.append((backend.name, reason))
        backend.active = 0


def leaving(active: int) -> Backend:
    backend = Backend("a", "http://a:80")
    backend.lanes = Lanes()
    backend.lanes.idle = [object()]
    backend.active = active
    return backend


def test_one_that_has_nothing_is_gone_at_once() -> None:
    departures = Departures(30.0)
    departures.add("p", idle := leaving(0), 1.0)
    assert (len(departures), idle.lanes.idle, repr(departures)) == (0, [], "<departures none>")


def test_one_that_finishes_in_time_is_not_cut() -> None:
    departures, client = Departures(30.0), Client()
    departures.add("p", busy := leaving(1), 1.0)
    departures.tick(20.0, [client])
    assert departures.backends == (busy,)
    busy.active = 0
    departures.tick(31.0, [client])
    assert (len(departures), client.cuts) == (0, [])


def test_what_is_left_after_its_time_is_cut_once() -> None:
    departures, client = Departures(30.0), Client()
    departures.add("p", leaving(1), 1.0)
    departures.tick(31.0, [client])
    departures.tick(32.0, [client])
    assert (client.cuts, len(departures)) == ([("a", reasons.BACKEND_LEFT)], 0)


def test_what_is_left_is_counted_by_name() -> None:
    departures = Departures(30.0)
    for active in (0, 2, 3):
        departures.add("p", leaving(active), 1.0)
    open_only = leaving(0)
    open_only.lanes.private = 1
    departures.add("q", open_only, 1.0)
    assert departures.left() == {"p/a": 5, "q/a": 1}
    open_only.lanes.private = 0
    assert departures.left() == {"p/a": 5}
