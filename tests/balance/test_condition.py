"""A backend's condition crosses to another process and is the same there."""

from __future__ import annotations

import json

from lbproxy import reasons
from lbproxy.balance.backend import Backend, State
from lbproxy.balance.condition import Condition, read, write
from lbproxy.balance.health import Change, Rules
from lbproxy.balance.pool import Pool
from lbproxy.reasons import Reason
from tests.balance.heard import Verdicts


def pool(slow_start: float = 0.0) -> tuple[Pool, Backend, Backend]:
    backends = [Backend(name, f"http://{name}.test") for name in ("c1", "c2")]
    return Pool("p", backends, Rules(), slow_start=slow_start), backends[0], backends[1]


def crossed(condition: Condition) -> Condition:
    return Condition(*json.loads(json.dumps(condition)))


def test_everything_is_the_same_on_the_other_side() -> None:
    there, one, two = pool()
    for backend in (one, two):
        there.probed(backend, True, "", 1.0)
    there.evidence(one, reasons.CONNECT_REFUSED, 5.0, "refused")
    there.drain(two)
    here, first, second = pool()
    here.adopt(first, crossed(there.condition(one)), 6.0)
    here.adopt(second, crossed(there.condition(two)), 6.0)
    assert (first.state, first.since, first.reason, first.detail) == (
        State.DOWN,
        5.0,
        reasons.CONNECT_REFUSED,
        "refused",
    )
    assert (second.state, second.draining, second.in_rotation) == (State.UP, True, False)
    assert [here.condition(backend) for backend in (first, second)] == [there.condition(b) for b in (one, two)]
    assert len(here.rotation) == 0


def test_a_slow_start_goes_on() -> None:
    there, one, two = pool(slow_start=10.0)
    there.probed(two, True, "", 0.0)
    there.probed(one, True, "", 20.0)
    assert one.ramp < 1
    here, first, second = pool(slow_start=10.0)
    here.adopt(second, there.condition(two), 20.0)
    here.adopt(first, there.condition(one), 25.0)
    assert 0.5 < first.ramp < 0.6
    assert second.ramp == 1.0
    here.tick(30.0)
    assert first.ramp == 1.0
    assert here.condition(first).slow_since is None


def test_only_an_ejection_is_told() -> None:
    here, one, _ = pool()
    told: list[tuple[Change, Reason | None, str]] = []
    here.observers.append(Verdicts(lambda _, change, reason, detail: told.append((change, reason, detail))))
    up = read(one, None)._replace(state="up")
    here.adopt(one, up, 1.0)
    here.adopt(one, up._replace(draining=True), 2.0)
    assert told == []
    here.adopt(one, up._replace(state="down", reason="connect_refused", detail="x"), 3.0)
    assert told == [(Change.EJECT, reasons.CONNECT_REFUSED, "x")]


def test_a_reason_of_another_version_is_none() -> None:
    backend = Backend("c1", "http://c1.test")
    write(backend, read(backend, None)._replace(state="down", reason="from_the_future"))
    assert (backend.state, backend.reason) == (State.DOWN, None)
