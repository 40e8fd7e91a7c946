"""Any history of probes, evidence, drains, verdicts, time and picks, against what `Pool` promises."""

from __future__ import annotations

from typing import Literal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lbproxy import reasons
from lbproxy.balance.backend import Backend, State
from lbproxy.balance.health import Change, Rules
from lbproxy.balance.pool import Pool
from lbproxy.balance.slow_start import FIRST_WEIGHT
from lbproxy.reasons import Counts, Reason
from tests.balance.heard import Verdicts

COUNT = 4
ROUNDS = int(1 / FIRST_WEIGHT) + 2
"""Rounds in which a member with the least weight surely gets a turn, roundings included."""
CONNECTS = (reasons.CONNECT_REFUSED, reasons.CONNECT_TIMEOUT, reasons.CONNECT_FAILED)
BY_A_REQUEST = [reason for reason in reasons.TABLE.values() if reason not in CONNECTS]


class History(RuleBasedStateMachine):
    which = st.integers(0, COUNT - 1)

    @initialize(
        policy=st.sampled_from(["try", "refuse"]),
        rise=st.integers(1, 3),
        fall=st.integers(1, 3),
        slow_start=st.sampled_from([0.0, 7.0]),
        backoff=st.sampled_from([0.0, 16.0]),
    )
    def start(self, policy: Literal["try", "refuse"], rise: int, fall: int, slow_start: float, backoff: float) -> None:
        self.now = 0.0
        self.heard: list[tuple[Backend, Change]] = []
        self.backends = [Backend(f"b{n}", f"http://10.0.0.{n}:80") for n in range(COUNT)]
        rules = Rules(rise, fall, consecutive_errors=2, interval=1.0, readmit_backoff=backoff)
        self.pool = Pool("connectors", self.backends, rules, policy, slow_start)
        self.pool.observers.append(
            Verdicts(lambda backend, change, reason, detail: self.heard.append((backend, change)))
        )

    # --- what happens to it

    @rule(seconds=st.sampled_from([0.1, 1.0, 5.0, 30.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.pool.tick(self.now)

    @rule(which=which, ok=st.booleans())
    def probe(self, which: int, ok: bool) -> None:
        backend, served = self.backends[which], bool(self.pool.rotation)
        held = backend.state is State.DOWN and self.now < backend.held_until
        self.pool.probed(backend, ok, "", self.now)
        if ok and held and served:
            assert backend.state is State.DOWN
        if ok and not served and not backend.draining:
            assert backend.in_rotation, "full service with the first good probe"

    @rule()
    def everybody_recovers(self) -> None:
        for _ in range(self.pool.rules.rise):
            for which in range(COUNT):
                self.probe(which, True)

    @rule(which=which, reason=st.sampled_from(BY_A_REQUEST))
    def a_request_fails(self, which: int, reason: Reason) -> None:
        backend, before, served = self.backends[which], self.backends[which].state, bool(self.pool.rotation)
        self.pool.evidence(backend, reason, self.now)
        if reason.counts in (Counts.NOTHING, Counts.SUSPECT):
            assert backend.state is before
        assert bool(self.pool.rotation) is served, "one user's requests empty no rotation"

    @rule(reason=st.sampled_from(BY_A_REQUEST))
    def one_user_goes_on_and_on(self, reason: Reason) -> None:
        for _ in range(2):
            for which in range(COUNT):
                self.a_request_fails(which, reason)

    @rule(which=which, reason=st.sampled_from(CONNECTS))
    def a_connect_fails(self, which: int, reason: Reason) -> None:
        self.pool.evidence(self.backends[which], reason, self.now)
        assert self.backends[which].state is not State.UP

    @rule(which=which)
    def drain(self, which: int) -> None:
        self.pool.drain(self.backends[which])

    @rule(which=which)
    def ready(self, which: int) -> None:
        self.pool.ready(self.backends[which])

    @rule(versions=st.lists(st.sampled_from(["1", "2", None]), min_size=COUNT, max_size=COUNT))
    def compare(self, versions: list[str | None]) -> None:
        served = bool(self.pool.rotation)
        names = [backend.name for backend in self.backends]
        self.pool.compare({"version": dict(zip(names, versions, strict=True))}, {}, "eject-minority")
        assert bool(self.pool.rotation) >= served

    # --- who is picked

    @rule(tried=st.sets(which))
    def pick(self, tried: set[int]) -> None:
        failed = {self.backends[n] for n in tried}
        picked = self.pool.pick(failed)
        others = [backend for backend in self.backends if backend not in failed and not backend.draining]
        members = [backend for backend in others if backend.in_rotation]
        if members or self.pool.when_all_down == "refuse":
            others = members
        assert picked in others if others else picked is None

    @rule()
    def one_request_is_offered_everybody_once(self) -> None:
        offered: list[Backend] = []
        while (backend := self.pool.pick(offered)) is not None:
            offered.append(backend)
        last_resort = self.pool.when_all_down == "try"
        expected = [one for one in self.backends if one.in_rotation or (last_resort and not one.draining)]
        assert sorted(offered, key=self.backends.index) == expected

    @precondition(lambda self: self.pool.rotation)
    @rule()
    def nobody_starves(self) -> None:
        """Each member is picked, and those of full weight once a round."""
        members = self.pool.rotation.members
        picked = [self.pool.pick() for _ in range(ROUNDS * len(members))]
        assert set(picked) == set(members)
        counts = {picked.count(member) for member in members if member.ramp == 1.0}
        assert max(counts) - min(counts) <= 1
        assert max(counts) == max(picked.count(member) for member in members)

    # --- what is always true

    @invariant()
    def the_rotation_is_who_is_up_and_not_kept_out(self) -> None:
        members = self.pool.rotation.members
        assert set(members) == {backend for backend in self.backends if backend.in_rotation}
        assert len(set(members)) == len(members)
        assert [backend.placed for backend in self.backends] == [backend.in_rotation for backend in self.backends]
        assert self.pool.rotation.weighted is any(backend.ramp < 1.0 for backend in members)

    @invariant()
    def somebody_in_rotation_has_full_turns_and_nobody_outside_a_part(self) -> None:
        assert all(backend.ramp == 1.0 for backend in self.backends if not backend.in_rotation)
        assert all(0.0 < backend.ramp <= 1.0 for backend in self.backends)
        assert not self.pool.rotation or 1.0 in [member.ramp for member in self.pool.rotation.members]

    @invariant()
    def an_empty_rotation_leaves_nobody_who_could_serve(self) -> None:
        if not self.pool.rotation:
            able = [backend for backend in self.backends if not backend.draining]
            assert not [backend for backend in able if backend.state is State.UP or backend.rise_count]

    @invariant()
    def nobody_in_rotation_is_held(self) -> None:
        assert not [member for member in self.pool.rotation.members if member.held_until or member.inconsistent]

    @invariant()
    def listeners_heard_of_every_change(self) -> None:
        last = {backend: change for backend, change in self.heard if change is not Change.SUSPECT}
        states = {Change.READMIT: State.UP, Change.EJECT: State.DOWN}
        assert all(backend.state is states[change] for backend, change in last.items())


TestHistory = History.TestCase
TestHistory.settings = settings(stateful_step_count=40)
