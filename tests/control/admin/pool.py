"""A pool of backends that do nothing, for whoever gives orders over the admin interface."""

from __future__ import annotations

from collections.abc import Mapping

from lbproxy.control.fleet.views import InstanceInFleetView
from lbproxy.control.instance import members
from lbproxy.control.snapshot import BackendInPool, BackendView, InstanceView
from lbproxy.errors import AdminError
from tests.control.sample import backend


class BareBackends:
    """Backends of the pool `connectors`, up and idle; `orders` is what was asked of them, in order.

    `waiting` are names that have orders only, and no backend: what is done to them gives nothing.

    `asked` are the names that were asked for; `elsewhere` are the same instances in another pool, once they `share` it.
    """

    def __init__(self, *names: str) -> None:
        self.views = {name: backend(name) | {"active": 0, "private_lanes": 0} for name in names}
        self.orders: list[str] = []
        self.waiting: set[str] = set()
        self.asked: list[str] = []
        self.elsewhere: dict[str, BackendView] = {}
        self._other = ""
        self.fleet: InstanceInFleetView | None = None

    def share(self, pool: str) -> None:
        """Every backend is in `pool` too."""
        self._other = pool
        self.elsewhere = {name: backend(name) | {"active": 0, "private_lanes": 0} for name in self.views}

    def show(self, name: str) -> InstanceView:
        short = name.removeprefix("connectors/")
        if short not in self.views:
            raise AdminError(f"no backend is called {name}")
        self.asked.append(name)
        both = bool(self.elsewhere) and short == name
        others: list[BackendInPool] = [{"pool": self._other, "backend": self.elsewhere[short]}] if both else []
        return self.shared(
            {
                "pool": "connectors",
                "backend": self.views[short],
                "others": others,
                "fleet": None,
                "killed_generations": 0,
            }
        )

    def shared(self, found: InstanceView) -> InstanceView:
        return {**found, "fleet": self.fleet}

    def drain(self, name: str, force: bool, by: str = "") -> InstanceView:
        return self._ordered("force" if force else "drain", name, draining=True)

    def ready(self, name: str, by: str = "") -> InstanceView | None:
        if name in self.waiting:
            self.orders.append(f"ready {name}")
            return None
        return self._ordered("ready", name, draining=False)

    def add(self, pool: str, name: str, url: str, weight: int, standby: bool, by: str) -> InstanceView:
        if pool != "connectors":
            raise AdminError(f"there is no pool {pool}")
        self.views[name] = backend(name) | {"url": url, "source": "operator", "state": "new", "in_rotation": False}
        self.views[name] |= {"active": 0, "private_lanes": 0}
        given = {"weight": weight, "standby": standby}
        self.orders.append(f"set {name} {given}")
        return self._changed(pool, name, given)

    def change(
        self, pool: str, name: str, given: Mapping[str, int | bool | None], force: bool, by: str
    ) -> InstanceView | None:
        self.orders.append(f"{'force' if force else 'set'} {name} {dict(given)}")
        return None if name in self.waiting else self._changed(pool, name, given)

    def _changed(self, pool: str, name: str, given: Mapping[str, int | bool | None]) -> InstanceView:
        shown = self.show(f"{pool}/{name}")
        weight = given.get("weight")
        shown["backend"]["weight"] = 1 if weight is None else weight
        shown["backend"]["standby"] = bool(given.get("standby"))
        return shown

    def remove(self, pool: str, name: str, force: bool, by: str) -> InstanceView | None:
        shown = None if name in self.waiting else self.show(f"{pool}/{name}")
        self.orders.append(f"{'force' if force else 'remove'} {name}")
        if shown is None:
            return None
        del self.views[name]
        return shown

    def _ordered(self, order: str, name: str, draining: bool) -> InstanceView:
        shown = self.show(name)
        self.orders.append(f"{order} {shown['backend']['name']}")
        for one in members(shown):
            one["backend"]["draining"] = draining
            one["backend"]["in_rotation"] = not draining and one["backend"]["state"] == "up"
        return shown
