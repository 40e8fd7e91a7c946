"""A pool of backends that do nothing, for whoever gives orders over the admin interface."""

from __future__ import annotations

from lbproxy.control.snapshot import BackendInPool
from lbproxy.errors import AdminError
from tests.control.sample import backend


class BareBackends:
    """Backends of the pool `connectors`, up and idle; `orders` is what was asked of them, in order."""

    def __init__(self, *names: str) -> None:
        self.views = {name: backend(name) | {"active": 0, "private_lanes": 0} for name in names}
        self.orders: list[str] = []

    def show(self, name: str) -> BackendInPool:
        short = name.removeprefix("connectors/")
        if short not in self.views:
            raise AdminError(f"no backend is called {name}")
        return {"pool": "connectors", "backend": self.views[short]}

    def drain(self, name: str, force: bool) -> BackendInPool:
        return self._ordered("force" if force else "drain", name, draining=True)

    def ready(self, name: str) -> BackendInPool:
        return self._ordered("ready", name, draining=False)

    def _ordered(self, order: str, name: str, draining: bool) -> BackendInPool:
        shown = self.show(name)
        self.orders.append(f"{order} {shown['backend']['name']}")
        shown["backend"]["draining"] = draining
        shown["backend"]["in_rotation"] = not draining and shown["backend"]["state"] == "up"
        return shown
