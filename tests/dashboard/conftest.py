"""A balancer's admin API on a Unix socket, whose backends do nothing, and a dashboard that asks it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from lbproxy.control.admin.api import api_routes
from lbproxy.control.admin.server import AdminServer
from lbproxy.control.admin.sockets import listen
from lbproxy.control.log import event
from lbproxy.control.log.level import LogLevel
from lbproxy.control.rollout.local import LocalRollouts
from lbproxy.control.snapshot import InstanceView, Snapshot
from lbproxy.dashboard.balancer import Balancer
from tests.control.admin.pool import BareBackends
from tests.control.admin.test_connections import OneConnection
from tests.control.admin.test_leave import Stays
from tests.control.admin.test_recent import NothingRecent
from tests.control.sample import backend, dead_backend, pool, snapshot


class Backends(BareBackends):
    """`by` is who has ordered something, in order."""

    def __init__(self, *names: str) -> None:
        super().__init__(*names)
        self.by: list[str] = []

    def drain(self, name: str, force: bool, by: str = "") -> InstanceView:
        self.by.append(by)
        return super().drain(name, force, by)

    def change(
        self, pool: str, name: str, given: Mapping[str, int | bool | None], force: bool, by: str
    ) -> InstanceView | None:
        self.by.append(by)
        return super().change(pool, name, given, force, by)


class Site:
    """A balancer: `view` is what it says, `looks` how often it was asked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.backends = Backends("c1", "c2")
        self.recent = NothingRecent()
        self.connections = OneConnection()
        self.rollouts = LocalRollouts(("connectors",))
        self.view: Snapshot = {**snapshot(), "pools": [pool("connectors", backend("c1"), backend("c2"))]}
        self.looks = 0
        self.reload_problems: list[str] = []
        self._log = logging.Logger("test")
        self._log.addHandler(self.recent.ring)

    def shown(self) -> Snapshot:
        self.looks += 1
        return self.view

    async def reload(self) -> list[str]:
        return self.reload_problems

    def dies(self, name: str) -> None:
        """The backend is ejected."""
        [of] = self.view["pools"]
        of["backends"] = [dead_backend(name) if one["name"] == name else one for one in of["backends"]]
        self.logs("backend_ejected", backend=name)

    def logs(self, name: str, **fields: object) -> None:
        event(self._log, logging.WARNING, name, **fields)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        level = LogLevel(lambda _: None)
        parts = (Stays(), self.connections, self.recent, level, self.rollouts)
        routes = api_routes(self.shown, self.backends, self.reload, *parts)
        server = AdminServer(listen(self.path), routes)
        await server.start()
        try:
            yield
        finally:
            self.recent.ring.stop()
            await server.stop()


@pytest.fixture
def admin_socket(tmp_path: Path) -> Path:
    return tmp_path / "admin.sock"


@pytest.fixture
async def site(admin_socket: Path) -> AsyncIterator[Site]:
    site = Site(admin_socket)
    async with site.open():
        yield site


@pytest.fixture
async def balancer(site: Site) -> AsyncIterator[Balancer]:
    found = Balancer(site.path)
    yield found
    await found.close()
