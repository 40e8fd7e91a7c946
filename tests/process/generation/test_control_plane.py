"""The control plane without a generation around it."""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from lbproxy.balance.backend import Backend
from lbproxy.balance.operators import Said
from lbproxy.balance.orders import Order
from lbproxy.balance.pool import Pool
from lbproxy.config import load
from lbproxy.control.admin.client import drain, fetch_status, make_ready
from lbproxy.control.admin.health import ask_health
from lbproxy.control.snapshot import RecentView
from lbproxy.process.generation.control_plane import ControlPlane, OnOrder
from lbproxy.process.generation.handover import StartInputs, secret
from lbproxy.process.generation.listen_addresses import ADMIN, wanted
from lbproxy.process.ipc.master_messages import WITH_MASTER
from lbproxy.process.ipc.worker_messages import WITH_FORKER
from lbproxy.process.master.listening_sockets import listen
from lbproxy.process.workers.supervisor import WorkerSupervisor
from lbproxy.status.windows import NOTHING_RECENT
from tests.process.conftest import Pair
from tests.process.generation.test_generation import CONFIG
from tests.process.places import listen_all
from tests.status.test_served import ORIGIN


async def test_with_workers_there_is_the_model_alone(pair: Pair, tmp_path: Path) -> None:
    """A certificate that is not there is the workers' trouble: no TLS is made here that is never used."""
    path = tmp_path / "lb.toml"
    tls = 'tls = { certificate = "none.pem", key = "none.key" }\n[pool.connectors]'
    path.write_text("workers = 2\n" + CONFIG.format(port=9, kind="none").replace("[pool.connectors]", tls, 1))
    config = load(path)
    ours, _ = pair(WITH_MASTER)
    forker, theirs = pair(WITH_FORKER)
    with socket.socket() as admin:
        inputs = StartInputs(1, ORIGIN, ours, {}, admin, secret(None, 0.0), forker=forker)
        control_plane = ControlPlane(config, inputs)
        assert isinstance(control_plane.serving, WorkerSupervisor)
        assert (control_plane.data_path, list(control_plane.model.pools)) == (None, ["connectors"])
        assert all(one.lanes is None for one in control_plane.model.pools["connectors"].backends)
        theirs.close()
        view = control_plane.view()
        assert [(one["name"], one["requests"]) for one in view["listeners"]] == [("login", 0)]
        assert (view["expiries"], view["tls_files"]) == ([], [])
        await control_plane.serving.stop()


@asynccontextmanager
async def administered(pair: Pair, heard: OnOrder) -> AsyncIterator[tuple[ControlPlane, Path]]:
    """A control plane in one process, and where its admin interface is. heard: is told of orders."""

    async def reload() -> list[str]:
        return []

    with tempfile.TemporaryDirectory() as short:
        path = Path(short, "lb.toml")
        path.write_text(CONFIG.format(port=9, kind="none"))
        config = load(path)
        sockets = listen_all(config)
        [admin] = [listen(one) for one in wanted(config) if one.key == ADMIN]
        ours, _ = pair(WITH_MASTER)
        control_plane = ControlPlane(config, StartInputs(1, ORIGIN, ours, sockets, admin, secret(None, 0.0)))
        async with AsyncExitStack() as stack:
            await control_plane.start(stack)
            await control_plane.first_round()
            control_plane.accept()
            await control_plane.open_admin(stack, admin, reload, heard)
            where = config.admin.bind.path
            assert where is not None
            yield control_plane, where
        for sock in sockets.values():
            sock.close()


async def test_orders_over_the_admin_interface_are_passed_on(pair: Pair) -> None:
    told: list[tuple[str, str, bool]] = []

    def heard(pool: str, name: str, said: Said) -> None:
        told.append((pool, name, said.order.drain))

    async with administered(pair, heard) as (control_plane, where):
        await asyncio.to_thread(drain, where, "c1", True)
        await asyncio.to_thread(make_ready, where, "c1")
        assert (await asyncio.to_thread(fetch_status, where))["state"] == "starting"
    assert told == [("connectors", "c1", True), ("connectors", "c1", False)]
    assert "starting" in repr(control_plane)


async def test_what_was_heard_before_there_is_a_fleet_is_told_to_it(pair: Pair, tmp_path: Path) -> None:
    path = tmp_path / "lb.toml"
    path.write_text(
        CONFIG.format(port=9, kind="none") + '[fleet]\nname = "f"\nreplica = "lb1"\netcd = ["http://127.0.0.1:9"]\n'
    )
    config = load(path)
    sockets = listen_all(config)
    ours, _ = pair(WITH_MASTER)
    with socket.socket() as admin:
        origin = ORIGIN._replace(master=os.getpid())
        control_plane = ControlPlane(config, StartInputs(1, origin, ours, sockets, admin, secret(None, 0.0)))
        async with AsyncExitStack() as stack:
            control_plane.hear("connectors", "c1", Said(None, Order(drain=True)), None)
            await control_plane.start(stack)
            assert control_plane.fleet is not None
            assert [one["backend"] for one in control_plane.fleet.view()["orders"]] == ["c1"]
            backend = control_plane.model.pools["connectors"].by_name("c1")
            assert backend is not None
            assert backend.draining
    for sock in sockets.values():
        sock.close()


async def test_what_is_recent_is_read_for_the_status_alone(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """What programs ask every second does not need it, and it takes time."""
    read: list[str] = []

    def of(pool: Pool, backend: Backend, *_: object) -> RecentView:
        read.append(backend.name)
        return NOTHING_RECENT

    async with administered(pair, lambda *_: None) as (control_plane, where):
        monkeypatch.setattr(control_plane.windows, "of", of)
        await asyncio.to_thread(ask_health, where, 5.0)
        assert read == []
        await asyncio.to_thread(fetch_status, where)
        assert read == [one.name for one in control_plane.model.pools["connectors"].backends]
