"""The named set of backends that a listener forwards to. It is alive: members join and leave while it is in use."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Mapping
from typing import Literal

from lbproxy.balance import condition, consistency, health
from lbproxy.balance.backend import Backend, State
from lbproxy.balance.condition import Condition
from lbproxy.balance.consistency import Facts, Policy, Verdict
from lbproxy.balance.feed import Observer
from lbproxy.balance.health import Change, Rules
from lbproxy.balance.member import Member
from lbproxy.balance.membership import FILE, Membership, Refuse
from lbproxy.balance.orders import NO_ORDER, Order, Stamp
from lbproxy.balance.placement import Placement
from lbproxy.balance.retry import RetryBudget
from lbproxy.balance.rotation import Rotation
from lbproxy.reasons import Reason


class Pool:
    """Its members, their health, and which of them is next. It decides; it does no I/O and reads no clock.

    A backend is in `rotation` exactly when it is `fit`, and, if it is a standby, when too few others are in rotation.
    `when_all_down` says what `pick` does while the rotation is empty. `retry_budget` counts the retries of all
    requests to this pool. `observers` get every join, leave and change (`feed`). `orders` are the operators' orders,
    by name. `membership` has what each source wants. `version` grows with each join and leave.

    Before the rotation would get empty, backends that can serve come back: those whose last probe was good, although
    they must wait for more good probes or are held for flapping; else those that are up, but inconsistent.
    """

    def __init__(
        self,
        name: str,
        backends: Iterable[Backend],
        rules: Rules,
        when_all_down: Literal["try", "refuse"] = "try",
        slow_start: float = 0.0,
        retry_budget: float = 0.0,
        *,
        standby_below: int = 1,
        max_backends: int = sys.maxsize,
        refuse: Refuse = lambda member: "",
    ) -> None:
        """backends: those of the configuration file. slow_start: in seconds; retry_budget: the part of the requests
        that may be sent a second time; refuse: why a member may not join, though its fields are sound.

        What is left out limits nothing and delays nothing. The defaults of users are those of the configuration.
        """
        self.name = name
        self.rules = rules
        self.when_all_down = when_all_down
        self.observers: list[Observer] = []
        self.retry_budget = RetryBudget(retry_budget)
        self.orders: dict[str, Order] = {}
        self.membership = Membership(max_backends, refuse)
        self._placement = Placement(slow_start, standby_below, self._moved)
        self.rotation: Rotation = self._placement.rotation
        self.slow_start = self._placement.slow_start
        self._now = 0.0  # the latest time that a caller gave
        self._retired_requests = 0  # of those that have left
        self.version = 0
        self._by_use: dict[bool, tuple[Backend, ...]] = {}
        self._by_name: dict[str, Backend] = {}
        for backend in backends:
            assert backend.name not in self._by_name, "two backends of one name"
            self._by_name[backend.name] = backend
            self._placement.settle(backend, self._now, slowly=False)
        self.membership.say(FILE, (Member(one.name, one.url, one.weight, one.standby) for one in self.backends))

    # --- members

    @property
    def backends(self) -> tuple[Backend, ...]:
        """Every member, in the order in which they joined."""
        return tuple(self._by_name.values())

    @property
    def waiting(self) -> int:
        """Standbys that are fit, and wait until too few others are in rotation."""
        return self._placement.waiting

    @property
    def size(self) -> int:
        """How many members there are."""
        return len(self._by_name)

    def that_only_pass(self, only_pass: bool) -> tuple[Backend, ...]:
        """The members whose bytes only pass (tcp://), or those that get requests."""
        if only_pass not in self._by_use:
            self._by_use[only_pass] = tuple(one for one in self._by_name.values() if one.only_passes is only_pass)
        return self._by_use[only_pass]

    def by_name(self, name: str) -> Backend | None:
        """The member of this name, None if there is none."""
        return self._by_name.get(name)

    def apply(self, source: str, members: Iterable[Member]) -> tuple[str, ...]:
        """`source` wants exactly these members. Returns why members were refused, one sentence for each.

        A wanted member that is not there joins; a member that no source wants leaves. A member whose URL has changed
        leaves and joins, without the health of the old one. A new weight is a change.
        """
        changes = self.membership.say(source, members)
        for name, (before, after) in changes.items():
            if before is not None and (after is None or after[1].url != before[1].url):
                self.leave(name)
        for _, after in changes.values():
            if after is not None:
                self.join(after[1], after[0])
        return self.membership.refused.get(source, ())

    def join(self, member: Member, source: str = FILE) -> Backend:
        """Make `member` one of the pool, or bring its weight and source up to date if it is one already.

        It gets work when a probe was good. `member` is sound, and of another URL than a member of its name.
        """
        order = self.ordered(member.name)
        weight = member.weight if order.weight is None else order.weight
        standby = member.standby if order.standby is None else order.standby
        backend = self._by_name.get(member.name)
        if backend is not None:
            assert backend.url == member.url, f"{member.name} is a member at {backend.url}"
            backend.source = source
            if (backend.weight, backend.standby) != (weight, standby):
                backend.weight, backend.standby = weight, standby
                self._place(backend)
            return backend
        backend = self._by_name[member.name] = Backend(member.name, member.url, weight, standby, source)
        backend.draining = order.drain
        backend.since = self._now
        self._membership_changed()
        for observer in self.observers:
            observer.joined(self, backend)
        self._placement.settle(backend, self._now)
        self._moved(backend)
        return backend

    def leave(self, name: str) -> None:
        """Give the member `name` no new work from now on; what it has may finish. KeyError if there is none."""
        backend = self._by_name.pop(name)
        backend.departed = True
        self._membership_changed()
        self._retired_requests += backend.requests
        served = backend.placed
        self._placement.settle(backend, self._now)
        if served:
            self._recall()  # before the observers are called: they move requests to the backends in rotation
        for observer in self.observers:
            observer.left(self, backend)

    def _membership_changed(self) -> None:
        self.version += 1
        self._by_use.clear()

    # --- orders

    def order(self, name: str, order: Order) -> None:
        """An operator's orders for `name`, in the place of earlier ones, whether it is a member or not."""
        if order:
            self.orders[name] = order
        else:
            self.orders.pop(name, None)
        backend = self._by_name.get(name)
        if backend is None:
            return
        backend.draining = order.drain
        backend.weight = self.weight_of(backend, order)
        backend.standby = self._wanted(backend).standby if order.standby is None else order.standby
        self._place(backend)

    def weight_of(self, backend: Backend, order: Order) -> int:
        """The weight of `backend` under `order`: what its source says, unless that is ordered."""
        return self._wanted(backend).weight if order.weight is None else order.weight

    def _wanted(self, backend: Backend) -> Member:
        """`backend` as its source describes it."""
        as_it_is = Member(backend.name, backend.url, backend.weight, backend.standby)
        return self.membership.all().get(backend.name, ("", as_it_is))[1]

    def drain(self, backend: Backend, by: str = "", at: float = 0.0) -> None:
        """No new work for `backend`; what it has may finish. Its health goes on being watched."""
        self.order(backend.name, self.ordered(backend.name).having(Stamp(by, at), drain=True))

    def ready(self, backend: Backend, by: str = "", at: float = 0.0) -> None:
        """End a drain: `backend` is in rotation again if it is up."""
        self.order(backend.name, self.ordered(backend.name).having(Stamp(by, at), drain=False))

    def ordered(self, name: str) -> Order:
        """The orders for `name`."""
        return self.orders.get(name, NO_ORDER)

    def is_alone(self, backend: Backend) -> bool:
        """Whether no other backend would be in rotation without `backend`, which is."""
        return self._placement.is_alone(backend)

    # --- picking

    def pick(self, tried: Collection[Backend] = ()) -> Backend | None:
        """The backend for a request that has failed on those in `tried`; None means that there is no other.

        With "try", when none in rotation is left, each other backend that takes work is offered once for one request:
        probes may be wrong, or late, and a refused request helps no user.
        """
        backend = self.rotation.pick(tried)
        if backend is None and self.when_all_down == "try":
            return self._placement.last_resort.pick(tried)
        return backend

    def tick(self, now: float) -> None:
        """It is `now` (monotonic seconds). To be called often, as ten times a second: drains have no other clock."""
        self._now = now
        self.slow_start.tick(now)
        total = self._retired_requests + sum(backend.requests for backend in self._by_name.values())
        self.retry_budget.tick(now, total)

    # --- verdicts

    def probed(self, backend: Backend, ok: bool, detail: str, now: float) -> None:
        """A probe of `backend` ended at `now` (monotonic seconds); `detail` is what it saw."""
        if backend.departed:
            return
        self._now = now
        slowly = self.slow_start.is_due(backend, now)
        change = health.probe(backend, self.rules, ok, now, rotation_empty=not self.rotation)
        self._settle(backend, change, None, detail, slowly)

    def evidence(self, backend: Backend, reason: Reason, now: float, detail: str = "", ambiguous: bool = False) -> None:
        """User traffic met `reason` on `backend` at `now` (monotonic seconds); `ambiguous`: see `health`."""
        if backend.departed:
            return
        self._now = now
        alone = self.is_alone(backend)
        change = health.evidence(backend, self.rules, reason, now, alone, ambiguous)
        self._settle(backend, change, reason, detail)

    def reported(self, backend: Backend, ejected: bool, reason: Reason, now: float, detail: str) -> None:
        """Another process met `reason` on `backend`: that process has `ejected` it, or only suspects it."""
        if backend.departed:
            return
        self._now = now
        alone = self.is_alone(backend)
        change = health.convict(backend, self.rules, reason, now, alone) if ejected else Change.SUSPECT
        self._settle(backend, change, reason, detail)

    def judge(self, facts: Facts, expected: Mapping[str, str], policy: Policy) -> Verdict:
        """What `compare` would find; nothing changes."""
        voters = {backend.name for backend in self.backends if backend.state is State.UP and not backend.draining}
        kept_out = {backend.name for backend in self.backends if backend.inconsistent}
        return consistency.judge(facts, expected, policy, voters, kept_out)

    def compare(self, facts: Facts, expected: Mapping[str, str], policy: Policy, anew: bool = True) -> Verdict:
        """Judge what was read of each backend (see `consistency.judge`), and keep out exactly those that it says.

        Without `anew` only those that are kept out already: no other backend leaves while an update is under way.
        This is no ejection: as in a drain, the requests on those backends may finish.
        """
        verdict = self.judge(facts, expected, policy)
        for backend in self.backends:
            before = backend.inconsistent
            if anew or before:
                backend.inconsistent = verdict.ejected.get(backend.name, "")
            if backend.inconsistent != before:
                self._place(backend)
        self._recall()
        return verdict

    def condition(self, backend: Backend) -> Condition:
        """How `backend` is, for another process."""
        return condition.read(backend, self.slow_start.since(backend))

    def adopt(self, backend: Backend, reported: Condition, now: float) -> None:
        """Give `backend` the condition that another process reports; observers get an ejection if that is one."""
        self._now = now
        ejected = backend.state is State.UP and reported.state == State.DOWN.value
        condition.write(backend, reported)
        self._placement.settle(backend, now, slowly=False)
        if reported.slow_since is not None and backend.in_rotation:
            self.slow_start.begin(backend, reported.slow_since)
            self.slow_start.tick(now)
        change = Change.EJECT if ejected else None
        self._tell(backend, change, backend.reason, backend.detail)

    # --- what follows

    def _settle(
        self, backend: Backend, change: Change | None, reason: Reason | None, detail: str, slowly: bool = True
    ) -> None:
        if change is None:
            return
        if change is not Change.SUSPECT:
            backend.reason, backend.detail = (reason, detail) if change is Change.EJECT else (None, "")
            self._placement.settle(backend, self._now, slowly)
            self._recall()  # before the observers are called: they move requests to the backends in rotation
        self._tell(backend, change, reason, detail)

    def _place(self, backend: Backend) -> None:
        """Something that is no verdict has changed."""
        self._placement.settle(backend, self._now)
        self._recall()
        self._moved(backend)

    def _moved(self, backend: Backend) -> None:
        self._tell(backend, None, None, "")

    def _tell(self, backend: Backend, change: Change | None, reason: Reason | None, detail: str) -> None:
        for observer in self.observers:
            observer.changed(self, backend, change, reason, detail)

    def _recall(self) -> None:
        """Fill an empty rotation: with backends whose last probe was good; without any, with inconsistent ones."""
        if self.rotation:
            return
        able = [backend for backend in self.backends if backend.takes_work]
        for backend in able:
            self._settle(backend, health.recall(backend, self._now), None, "no other backend is in rotation")
        if self.rotation:
            return
        for backend in able:
            if backend.state is State.UP:
                backend.inconsistent = ""
                self._placement.settle(backend, self._now)
                self._moved(backend)

    def __repr__(self) -> str:
        return f"<pool {self.name} {len(self.rotation)} of {len(self._by_name)} in rotation>"
