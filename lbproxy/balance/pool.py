"""The named set of backends that a listener forwards to."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Literal

from lbproxy.balance import health
from lbproxy.balance.backend import Backend
from lbproxy.balance.health import Change, Rules
from lbproxy.balance.rotation import Rotation
from lbproxy.reasons import Reason

OnChange = Callable[[Backend, Change, Reason | None, str], None]


class Pool:
    """Picks the backend for a request, and keeps the rotation true to every backend's health and drain.

    A backend is in `rotation` exactly when it is up and not draining. The callables in `on_change` are called
    synchronously, after the change took effect, with the backend, the change, the reason (None when a probe
    decided) and a detail for the log. `when_all_down` says what `pick` does while the rotation is empty.
    """

    def __init__(
        self,
        name: str,
        backends: Iterable[Backend],
        rules: Rules,
        when_all_down: Literal["try", "refuse"] = "try",
    ) -> None:
        self.name = name
        self.backends = tuple(backends)
        self.rules = rules
        self.when_all_down = when_all_down
        self.on_change: list[OnChange] = []
        self.rotation = Rotation()
        self._last_resort = Rotation()  # every backend that is not draining, whatever its health
        self._by_name = {backend.name: backend for backend in self.backends}
        assert len(self._by_name) == len(self.backends), "two backends of one name"
        for backend in self.backends:
            self._place(backend)

    def pick(self, tried: Collection[Backend] = ()) -> Backend | None:
        """The backend for a request that has failed on those in `tried`; None means that there is no other.

        With "try", when none in rotation is left, each other backend that is not draining is offered once for one
        request: probes may be wrong, or late, and a refused request helps nobody.
        """
        backend = self.rotation.pick(tried)
        if backend is None and self.when_all_down == "try":
            return self._last_resort.pick(tried)
        return backend

    def probed(self, backend: Backend, ok: bool, detail: str, now: float) -> None:
        """A probe of `backend` ended at `now` (monotonic seconds); `detail` is what it saw."""
        self._settle(backend, health.probe(backend, self.rules, ok, now), None, detail)

    def evidence(self, backend: Backend, reason: Reason, now: float, detail: str = "") -> None:
        """User traffic met `reason` on `backend` at `now` (monotonic seconds)."""
        self._settle(backend, health.evidence(backend, self.rules, reason, now), reason, detail)

    def drain(self, backend: Backend) -> None:
        """No new work for `backend`; what it has may finish. Its health goes on being watched."""
        backend.draining = True
        self._place(backend)

    def ready(self, backend: Backend) -> None:
        """End a drain: `backend` is in rotation again if it is up."""
        backend.draining = False
        self._place(backend)

    def by_name(self, name: str) -> Backend | None:
        """The backend of this name, None if there is none."""
        return self._by_name.get(name)

    def _settle(self, backend: Backend, change: Change | None, reason: Reason | None, detail: str) -> None:
        if change is None:
            return
        if change is not Change.SUSPECT:
            down = change is Change.EJECT
            backend.reason, backend.detail = (reason, detail) if down else (None, "")
            self._place(backend)
        for listener in self.on_change:
            listener(backend, change, reason, detail)

    def _place(self, backend: Backend) -> None:
        _put(self.rotation, backend, backend.in_rotation)
        _put(self._last_resort, backend, not backend.draining)

    def __repr__(self) -> str:
        return f"<pool {self.name} {len(self.rotation)} of {len(self.backends)} in rotation>"


def _put(rotation: Rotation, backend: Backend, inside: bool) -> None:
    if inside and backend not in rotation:
        rotation.add(backend)
    elif not inside and backend in rotation:
        rotation.remove(backend)
