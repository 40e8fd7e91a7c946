"""A reading a minute; the time is the test's."""

from __future__ import annotations

from lbproxy.balance.backend import Backend
from lbproxy.balance.health import Rules
from lbproxy.balance.member import Member
from lbproxy.balance.pool import Pool
from lbproxy.control.snapshot import WindowView
from lbproxy.status.history import KEPT, SHOWN, History
from lbproxy.status.windows import NOTHING


class Balancer:
    """A pool whose last minute is `minute`, looked at ten times a second."""

    def __init__(self, *names: str, before: dict[str, str] | None = None) -> None:
        self.pool = Pool("p", [Backend(name, f"http://{name}:80") for name in names], Rules(), "refuse")
        self.minute: WindowView = NOTHING
        self.history = History({"p": self.pool}, lambda *_: self.minute, before)
        self.now = 5.0

    def passes(self, seconds: float) -> None:
        for _ in range(round(seconds * 10)):
            self.history.tick(self.now)
            self.now += 0.1


def test_an_hour_has_a_reading_a_minute() -> None:
    one = Balancer("c1")
    one.passes(59)
    assert one.history.view()["backends"] == {}
    for minute in range(KEPT + 10):
        one.minute = {**NOTHING, "answers": minute, "server_errors": 1, "p50": 0.25, "p99": 0.5}
        one.passes(60)
    found = one.history.view()["backends"]["p/c1"]
    assert found["answers"] == list(range(10, KEPT + 10))
    assert (found["server_errors"], found["p50"], found["p99"]) == ([1] * KEPT, [0.25] * KEPT, [0.5] * KEPT)


def test_a_minute_without_an_answer_has_no_time() -> None:
    one = Balancer("c1")
    one.passes(61)
    found = one.history.view()["backends"]["p/c1"]
    assert found == {"answers": [0], "server_errors": [0], "p50": [None], "p99": [None]}


def test_a_backend_that_has_left_is_forgotten_and_the_next_process_goes_on() -> None:
    one = Balancer("c1", "c2")
    one.minute = {**NOTHING, "answers": 7, "p50": 0.5}
    one.passes(61)
    after = Balancer("c1", "c2", before=one.history.export())
    assert after.history.view() == one.history.view()
    after.pool.leave("c2")
    after.pool.join(Member("c3", "http://c3:80"))
    after.passes(61)
    found = after.history.view()["backends"]
    assert {name: view["answers"] for name, view in found.items()} == {"p/c1": [7, 0], "p/c3": [0]}


def test_the_view_is_of_a_pool_or_a_backend_and_bounded() -> None:
    one = Balancer(*(f"c{number}" for number in range(SHOWN + 1)))
    one.passes(95)
    assert len(one.history.view()["backends"]) == SHOWN
    assert [*one.history.view(backend="c7")["backends"]] == ["p/c7"]
    assert one.history.view(pool="q")["backends"] == {}
