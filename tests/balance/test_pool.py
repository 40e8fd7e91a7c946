from __future__ import annotations

from typing import Literal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from lbproxy import reasons
from lbproxy.balance.backend import Backend, State
from lbproxy.balance.health import Change, Rules
from lbproxy.balance.pool import Pool
from lbproxy.reasons import Counts, Reason

RULES = Rules(rise=2, fall=1, consecutive_errors=3)


def pool_of(names: str, *, up: str = "", when_all_down: Literal["try", "refuse"] = "try") -> Pool:
    pool = Pool("connectors", [Backend(name, f"http://{name}:80") for name in names], RULES, when_all_down)
    for name in up:
        pool.probed(named(pool, name), True, "", 0.0)
    return pool


def named(pool: Pool, name: str) -> Backend:
    backend = pool.by_name(name)
    assert backend is not None
    return backend


def picks(pool: Pool, count: int) -> str:
    found = [pool.pick() for _ in range(count)]
    return "".join(backend.name if backend else "-" for backend in found)


def offers(pool: Pool) -> str:
    """The backends that one request is offered, when it fails on each of them."""
    tried: list[Backend] = []
    while (backend := pool.pick(tried)) is not None:
        tried.append(backend)
    return "".join(backend.name for backend in tried)


def test_backends_take_turns_once_they_were_probed() -> None:
    assert picks(pool_of("abcd", up="abc"), 6) == "abcabc"


def test_an_ejected_backend_is_picked_by_nobody_until_it_is_readmitted() -> None:
    pool = pool_of("abc", up="abc")
    b = named(pool, "b")
    pool.evidence(b, reasons.CONNECT_REFUSED, 1.0, "10.0.0.12:4000")
    assert (b.reason, b.detail) == (reasons.CONNECT_REFUSED, "10.0.0.12:4000")
    assert picks(pool, 4) == "acac"
    pool.probed(b, True, "200", 2.0)
    assert picks(pool, 2) == "ac"
    pool.probed(b, True, "200", 3.0)
    assert (b.reason, b.detail) == (None, "")
    assert picks(pool, 3) == "acb"


def test_a_draining_backend_keeps_its_health_and_comes_back_when_it_is_ready() -> None:
    pool = pool_of("abc", up="abc")
    b = named(pool, "b")
    pool.drain(b)
    pool.drain(b)
    assert picks(pool, 4) == "acac"
    assert b.state is State.UP
    pool.ready(b)
    pool.ready(b)
    assert sorted(picks(pool, 3)) == ["a", "b", "c"]


def test_one_that_went_down_in_its_drain_waits_for_its_probes() -> None:
    pool = pool_of("ab", up="ab")
    b = named(pool, "b")
    pool.drain(b)
    pool.probed(b, False, "connection refused", 1.0)
    pool.ready(b)
    assert picks(pool, 2) == "aa"
    pool.drain(b)
    pool.probed(b, True, "", 2.0)
    pool.probed(b, True, "", 3.0)
    assert picks(pool, 2) == "aa"
    pool.ready(b)
    assert sorted(picks(pool, 2)) == ["a", "b"]


def test_with_all_down_each_is_offered_once_to_one_request() -> None:
    pool = pool_of("abc", up="ab")
    for name in "ab":
        pool.probed(named(pool, name), False, "", 1.0)
    assert [offers(pool), offers(pool)] == ["abc", "abc"]
    assert picks(pool, 4) == "abca"
    pool.drain(named(pool, "b"))
    assert sorted(offers(pool)) == ["a", "c"]


def test_with_all_down_and_refuse_nobody_is() -> None:
    assert offers(pool_of("abc", when_all_down="refuse")) == ""


def test_the_last_one_that_fails_opens_the_last_resort_to_the_same_request() -> None:
    pool = pool_of("ab", up="a")
    a, b = pool.backends
    assert pool.pick() is a
    pool.evidence(a, reasons.CONNECT_REFUSED, 1.0)
    assert pool.pick({a}) is b
    assert pool.pick({a, b}) is None


def test_when_all_in_rotation_were_tried_the_others_are() -> None:
    """One in rotation may only be suspected: the request that failed on it is not refused for that."""
    pool = pool_of("ab", up="a")
    assert pool.pick({named(pool, "a")}) is named(pool, "b")
    refusing = pool_of("ab", up="a", when_all_down="refuse")
    assert refusing.pick({named(refusing, "a")}) is None


def test_listeners_hear_of_a_change_after_it_took_effect() -> None:
    pool = pool_of("ab")
    a = named(pool, "a")
    heard: list[tuple[str, Change, Reason | None, str, bool]] = []
    pool.on_change.append(lambda b, change, why, text: heard.append((b.name, change, why, text, b in pool.rotation)))
    pool.probed(a, True, "200", 1.0)
    pool.probed(a, True, "200", 2.0)
    pool.evidence(a, reasons.RESPONSE_TIMEOUT, 3.0)
    pool.evidence(a, reasons.CLIENT_GONE, 4.0)
    pool.evidence(a, reasons.LANE_LOST, 5.0, "reset")
    pool.evidence(a, reasons.LANE_LOST, 6.0, "reset")
    assert heard == [
        ("a", Change.READMIT, None, "200", True),
        ("a", Change.SUSPECT, reasons.RESPONSE_TIMEOUT, "", True),
        ("a", Change.EJECT, reasons.LANE_LOST, "reset", False),
    ]


def test_it_can_be_looked_at() -> None:
    pool = pool_of("abc", up="ab")
    assert repr(pool) == "<pool connectors 2 of 3 in rotation>"
    assert pool.by_name("z") is None


class PoolHistory(RuleBasedStateMachine):
    """Any history of probes, evidence, drains and picks, against what its docstring promises."""

    backend = st.integers(0, 4)

    @initialize(policy=st.sampled_from(["try", "refuse"]), rise=st.integers(1, 3), fall=st.integers(1, 3))
    def start(self, policy: Literal["try", "refuse"], rise: int, fall: int) -> None:
        self.now = 0.0
        backends = [Backend(f"b{n}", f"http://10.0.0.{n}:80") for n in range(5)]
        self.pool = Pool("connectors", backends, Rules(rise, fall, 2), policy)

    @rule(which=backend, ok=st.booleans())
    def probe(self, which: int, ok: bool) -> None:
        self.now += 1.0
        self.pool.probed(self.pool.backends[which], ok, "", self.now)

    @rule(which=backend, reason=st.sampled_from(list(reasons.TABLE.values())))
    def evidence(self, which: int, reason: Reason) -> None:
        backend = self.pool.backends[which]
        before = backend.state
        self.pool.evidence(backend, reason, self.now)
        if reason.counts in (Counts.NOTHING, Counts.SUSPECT):
            assert backend.state is before
        if reason.counts is Counts.EJECT:
            assert backend.state is not State.UP

    @rule(which=backend)
    def drain(self, which: int) -> None:
        self.pool.drain(self.pool.backends[which])

    @rule(which=backend)
    def ready(self, which: int) -> None:
        self.pool.ready(self.pool.backends[which])

    @rule(tried=st.sets(backend))
    def pick(self, tried: set[int]) -> None:
        backends = self.pool.backends
        picked = self.pool.pick({backends[n] for n in tried})
        allowed = [backend for n, backend in enumerate(backends) if n not in tried and not backend.draining]
        up = [backend for backend in allowed if backend.in_rotation]
        if up or self.pool.when_all_down == "refuse":
            allowed = up
        assert picked in allowed if allowed else picked is None

    @rule()
    def one_request_is_offered_everybody_once(self) -> None:
        undrained = [backend for backend in self.pool.backends if not backend.draining]
        up = [backend for backend in undrained if backend.in_rotation]
        expected = undrained if self.pool.when_all_down == "try" else up
        assert sorted(offers(self.pool)) == sorted("".join(backend.name for backend in expected))

    @rule()
    def a_round_has_each_member_once(self) -> None:
        members = self.pool.rotation.members
        assert tuple(self.pool.pick() for _ in members) == members

    @invariant()
    def the_rotation_is_who_is_up_and_not_draining(self) -> None:
        assert set(self.pool.rotation.members) == {backend for backend in self.pool.backends if backend.in_rotation}
        assert len(set(self.pool.rotation.members)) == len(self.pool.rotation)


TestPoolHistory = PoolHistory.TestCase
TestPoolHistory.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
