"""An admin interface for commands to speak to, with backends that do nothing behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

from click.testing import CliRunner, Result

from lbproxy.cli import main
from lbproxy.control.admin.members import member_routes
from lbproxy.control.admin.orders import order_routes
from lbproxy.control.admin.rollouts import rollout_routes
from lbproxy.control.admin.routes import read_routes
from lbproxy.control.admin.server import AdminServer
from lbproxy.control.admin.sockets import listen
from lbproxy.control.admin.web import Route
from lbproxy.control.instance import members
from lbproxy.control.rollout.local import LocalRollouts
from lbproxy.control.snapshot import BackendView, InstanceView, Snapshot, WaitingOrderView
from tests.control.admin.pool import BareBackends
from tests.control.sample import pool, snapshot

CONFIG = """
server_url = "http://login.corp.example"
[listener.login]
bind = "127.0.0.1:0"
pool = "connectors"
[pool.connectors]
backends = [{ name = "c1", url = "http://127.0.0.1:4000" }]
[admin]
bind = "unix:admin.sock"
"""


class Busy(BareBackends):
    """c1, c2 and c3; at each look `live` may change the backend that is looked at."""

    def __init__(
        self,
        live: Callable[[BackendView], None] = lambda backend: None,
        drain_timeout: float = 30,
        state: Literal["serving", "draining"] = "serving",
    ) -> None:
        super().__init__("c1", "c2", "c3")
        self.live = live
        self.drain_timeout = drain_timeout
        self.state = state
        self.waiting_orders: list[WaitingOrderView] = []

    def show(self, name: str) -> InstanceView:
        shown = super().show(name)
        for one in members(shown):
            self.live(one["backend"])
        return shown

    def snapshot(self) -> Snapshot:
        """What /status shows."""
        pools = [pool("connectors", *self.views.values()) | {"waiting_orders": self.waiting_orders}]
        return snapshot() | {"pools": pools, "drain_timeout_seconds": self.drain_timeout, "state": self.state}


@asynccontextmanager
async def served(folder: Path, backends: Busy, more: Iterable[Route] = ()) -> AsyncIterator[Path]:
    """The admin interface of `backends`, with `more` routes, and the path of a configuration that names it."""
    (folder / "lbproxy.toml").write_text(CONFIG)
    routes = [*read_routes(backends.snapshot), *order_routes(backends), *member_routes(backends)]
    routes = [*more, *routes, *rollout_routes(LocalRollouts(("connectors",)))]
    server = AdminServer(listen(folder / "admin.sock"), routes)
    await server.start()
    try:
        yield folder / "lbproxy.toml"
    finally:
        await server.stop()


async def run(*arguments: str) -> Result:
    """A command of lbproxy, in a thread."""
    return await asyncio.to_thread(CliRunner().invoke, main, arguments)
