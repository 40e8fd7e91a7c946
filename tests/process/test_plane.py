"""The control plane without a generation around it."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

from lbproxy.config import load
from lbproxy.control.admin.client import drain, fetch_status, make_ready
from lbproxy.process.handover import secret
from lbproxy.process.places import ADMIN, wanted
from lbproxy.process.plane import Plane
from lbproxy.process.sockets import listen
from tests.process.places import listen_all
from tests.process.test_generation import CONFIG


async def test_orders_over_the_admin_interface_are_passed_on() -> None:
    told: list[tuple[str, str, bool]] = []

    async def reload() -> list[str]:
        return []

    with tempfile.TemporaryDirectory() as short:
        path = Path(short, "lb.toml")
        path.write_text(CONFIG.format(port=9, kind="none"))
        config = load(path)
        sockets = listen_all(config)
        plane = Plane(config, sockets, secret(None, 0.0))
        [admin] = [listen(one) for one in wanted(config) if one.key == ADMIN]
        async with AsyncExitStack() as stack:
            await plane.start(stack)
            await plane.first_round()
            plane.accept()
            await plane.open_admin(stack, admin, reload, lambda *order: told.append(order))
            where = config.admin.bind.path
            assert where is not None
            await asyncio.to_thread(drain, where, "c1", True)
            await asyncio.to_thread(make_ready, where, "c1")
            assert (await asyncio.to_thread(fetch_status, where))["state"] == "starting"
        for sock in sockets.values():
            sock.close()
    assert told == [("connectors", "c1", True), ("connectors", "c1", False)]
    assert "starting" in repr(plane)
