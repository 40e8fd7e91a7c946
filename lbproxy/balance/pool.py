"""The named set of backends that a listener forwards to."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Literal

from lbproxy.balance import condition, consistency, health
from lbproxy.balance.backend import Backend, State
from lbproxy.balance.condition import Condition
from lbproxy.balance.consistency import Facts, Policy, Verdict
from lbproxy.balance.health import Change, Rules
from lbproxy.balance.retry import RetryBudget
from lbproxy.balance.rotation import Rotation
from lbproxy.balance.slow_start import SlowStart
from lbproxy.reasons import Reason

OnChange = Callable[[Backend, Change, Reason | None, str], None]


class Pool:
    """Picks the backend for a request, and keeps the rotation true to every backend's health, drain and consistency.

    A backend is in `rotation` exactly when it is up, not draining and not inconsistent; `slow_start` says how much of
    its turns it gets there. The callables in `on_change` are called synchronously, after the change took effect, with
    the backend, the change, the reason (None when a probe decided) and a detail for the log; those in `on_place` with
    each backend whose condition may have changed, before its rotation does. `when_all_down` says what
    `pick` does while the rotation is empty. `retry_budget` is for all requests that this pool's backends get.

    Whatever would leave the rotation empty first brings back who can serve: a backend whose last probe was good,
    though it has to wait for more of them or is held for flapping; else one that is up, but inconsistent.
    """

    def __init__(
        self,
        name: str,
        backends: Iterable[Backend],
        rules: Rules,
        when_all_down: Literal["try", "refuse"] = "try",
        slow_start: float = 0.0,
        retry_budget: float = 0.2,
    ) -> None:
        """slow_start: in seconds; retry_budget: the part of the requests that may be sent a second time."""
        self.name = name
        self.backends = tuple(backends)
        self.rules = rules
        self.when_all_down = when_all_down
        self.on_change: list[OnChange] = []
        self.on_place: list[Callable[[Backend], None]] = []
        self.rotation = Rotation()
        self.slow_start = SlowStart(self.rotation, slow_start)
        self.retry_budget = RetryBudget(retry_budget)
        self._last_resort = Rotation()  # every backend that is not draining, whatever its health
        self._now = 0.0  # what anybody told last
        self._by_name = {backend.name: backend for backend in self.backends}
        assert len(self._by_name) == len(self.backends), "two backends of one name"
        for backend in self.backends:
            self._place(backend, slowly=False)

    def pick(self, tried: Collection[Backend] = ()) -> Backend | None:
        """The backend for a request that has failed on those in `tried`; None means that there is no other.

        With "try", when none in rotation is left, each other backend that is not draining is offered once for one
        request: probes may be wrong, or late, and a refused request helps nobody.
        """
        backend = self.rotation.pick(tried)
        if backend is None and self.when_all_down == "try":
            return self._last_resort.pick(tried)
        return backend

    def tick(self, now: float) -> None:
        """It is `now` (monotonic seconds). To be called often, as ten times a second: drains have no other clock."""
        self._now = now
        self.slow_start.tick(now)
        self.retry_budget.tick(now, sum(backend.requests for backend in self.backends))

    def probed(self, backend: Backend, ok: bool, detail: str, now: float) -> None:
        """A probe of `backend` ended at `now` (monotonic seconds); `detail` is what it saw."""
        self._now = now
        slowly = self.slow_start.is_due(backend, now)
        change = health.probe(backend, self.rules, ok, now, nobody=not self.rotation)
        self._settle(backend, change, None, detail, slowly)

    def evidence(self, backend: Backend, reason: Reason, now: float, detail: str = "") -> None:
        """User traffic met `reason` on `backend` at `now` (monotonic seconds)."""
        self._now = now
        alone = len(self.rotation) == 1 and backend.in_rotation
        self._settle(backend, health.evidence(backend, self.rules, reason, now, alone), reason, detail)

    def reported(self, backend: Backend, ejected: bool, reason: Reason, now: float, detail: str) -> None:
        """Another process met `reason` on `backend`: it has `ejected` it, or it only has a suspicion."""
        self._now = now
        alone = len(self.rotation) == 1 and backend.in_rotation
        change = health.convict(backend, self.rules, reason, now, alone) if ejected else Change.SUSPECT
        self._settle(backend, change, reason, detail)

    def compare(self, facts: Facts, expected: Mapping[str, str], policy: Policy, anew: bool = True) -> Verdict:
        """Judge what was read of each backend (see `consistency.judge`), and keep out exactly those that it says.

        Without `anew` only those that are kept out already: nobody else has to leave while an update is under way.
        Nobody is told by `on_change`: as in a drain, what those backends have may finish.
        """
        voters = {backend.name for backend in self.backends if backend.state is State.UP and not backend.draining}
        verdict = consistency.judge(facts, expected, policy, voters)
        for backend in self.backends:
            if anew or backend.inconsistent:
                backend.inconsistent = verdict.ejected.get(backend.name, "")
            self._place(backend)
        self._recall()
        return verdict

    def drain(self, backend: Backend) -> None:
        """No new work for `backend`; what it has may finish. Its health goes on being watched."""
        backend.draining = True
        self._place(backend)
        self._recall()

    def ready(self, backend: Backend) -> None:
        """End a drain: `backend` is in rotation again if it is up."""
        backend.draining = False
        self._place(backend)
        self._recall()

    def condition(self, backend: Backend) -> Condition:
        """How `backend` is, for another process."""
        return condition.read(backend, self.slow_start.since(backend))

    def adopt(self, backend: Backend, told: Condition, now: float) -> None:
        """`backend` is what another process says it is; those in `on_change` hear of it if that is an ejection."""
        self._now = now
        ejected = backend.state is State.UP and told.state == State.DOWN.value
        condition.write(backend, told)
        self._place(backend, slowly=False)
        if told.slow_since is not None and backend.in_rotation:
            self.slow_start.begin(backend, told.slow_since)
            self.slow_start.tick(now)
        if ejected:
            for listener in self.on_change:
                listener(backend, Change.EJECT, backend.reason, backend.detail)

    def by_name(self, name: str) -> Backend | None:
        """The backend of this name, None if there is none."""
        return self._by_name.get(name)

    def _settle(
        self, backend: Backend, change: Change | None, reason: Reason | None, detail: str, slowly: bool = True
    ) -> None:
        if change is None:
            return
        if change is not Change.SUSPECT:
            backend.reason, backend.detail = (reason, detail) if change is Change.EJECT else (None, "")
            self._place(backend, slowly)
            self._recall()  # before the listeners hear of an ejection: they move requests to who is there
        for listener in self.on_change:
            listener(backend, change, reason, detail)

    def _place(self, backend: Backend, slowly: bool = True) -> None:
        for listener in self.on_place:
            listener(backend)
        _put(self._last_resort, backend, not backend.draining)
        backend.placed = backend.in_rotation
        if _put(self.rotation, backend, backend.placed):
            if not backend.placed:
                self.slow_start.end(backend)
            elif slowly:
                self.slow_start.begin(backend, self._now)
        self.slow_start.tick(self._now)

    def _recall(self) -> None:
        """Rather than nobody: those whose last probe was good, and if that is nobody, those that are inconsistent."""
        if self.rotation:
            return
        able = [backend for backend in self.backends if not backend.draining]
        for backend in able:
            self._settle(backend, health.recall(backend, self._now), None, "nobody else is in rotation")
        if self.rotation:
            return
        for backend in able:
            if backend.state is State.UP:
                backend.inconsistent = ""
                self._place(backend)

    def __repr__(self) -> str:
        return f"<pool {self.name} {len(self.rotation)} of {len(self.backends)} in rotation>"


def _put(rotation: Rotation, backend: Backend, inside: bool) -> bool:
    """Let `backend` be a member, or not; whether that changed anything."""
    if inside == (backend in rotation):
        return False
    if inside:
        rotation.add(backend)
    else:
        rotation.remove(backend)
    return True
