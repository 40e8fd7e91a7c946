from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lbproxy.control.admin import web
from lbproxy.control.admin.client import (
    change_backend,
    drain,
    fetch_instance,
    fetch_status,
    make_ready,
    remove_backend,
)
from lbproxy.control.admin.members import member_routes
from lbproxy.control.admin.orders import order_routes
from lbproxy.control.admin.routes import read_routes
from lbproxy.control.admin.server import AdminServer
from lbproxy.control.admin.sockets import Bind, listen
from lbproxy.errors import AdminError
from tests.control.admin.pool import BareBackends
from tests.control.sample import snapshot


@pytest.fixture
async def servers() -> AsyncIterator[list[AdminServer]]:
    """Servers to be stopped at the end."""
    servers: list[AdminServer] = []
    yield servers
    for server in servers:
        await server.stop()


async def serve(bind: Bind, routes: list[web.Route], servers: list[AdminServer]) -> Bind:
    """Serve at `bind`; returns where that is."""
    sock = listen(bind)
    name = sock.getsockname()
    servers.append(AdminServer(sock, routes))
    await servers[-1].start()
    return bind if isinstance(bind, Path) else (name[0], name[1])


async def test_asks_over_a_unix_socket(tmp_path: Path, servers: list[AdminServer]) -> None:
    bind = await serve(tmp_path / "admin.sock", read_routes(snapshot), servers)
    assert await asyncio.to_thread(fetch_status, bind) == json.loads(json.dumps(snapshot()))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_asks_over_tcp(host: str, servers: list[AdminServer]) -> None:
    bind = await serve((host, 0), read_routes(snapshot), servers)
    assert (await asyncio.to_thread(fetch_status, bind))["pid"] == snapshot()["pid"]


async def test_gives_orders(tmp_path: Path, servers: list[AdminServer]) -> None:
    backends = BareBackends("c1", "c2")
    bind = await serve(tmp_path / "admin.sock", order_routes(backends), servers)
    assert (await asyncio.to_thread(drain, bind, "connectors/c1"))["backend"]["draining"]
    assert (await asyncio.to_thread(fetch_instance, bind, "c1"))["backend"]["draining"]
    ready = await asyncio.to_thread(make_ready, bind, "c1")
    assert ready is not None
    assert not ready["backend"]["draining"]
    await asyncio.to_thread(drain, bind, "c2", force=True)
    assert backends.orders == ["drain c1", "ready c1", "force c2"]


async def test_takes_back_an_order_for_a_name_without_a_backend(tmp_path: Path, servers: list[AdminServer]) -> None:
    backends = BareBackends("c1")
    backends.waiting.add("c9")
    bind = await serve(tmp_path / "admin.sock", [*order_routes(backends), *member_routes(backends)], servers)
    assert await asyncio.to_thread(make_ready, bind, "c9") is None
    assert await asyncio.to_thread(change_backend, bind, "connectors/c9", {"weight": None}) is None
    assert await asyncio.to_thread(remove_backend, bind, "connectors/c9") is None
    assert backends.orders == ["ready c9", "set c9 {'weight': None}", "remove c9"]


@pytest.mark.parametrize("name", ["c9", "c 1", "c1?x", "c1#x", "c1\r\nX: y", "\u00fc"])
async def test_a_refused_order_is_told_in_its_own_words(tmp_path: Path, servers: list[AdminServer], name: str) -> None:
    """Whatever the name is, it is that of a backend and no other part of the request."""
    bind = await serve(tmp_path / "admin.sock", order_routes(BareBackends("c1")), servers)
    for order in (fetch_instance, drain, make_ready):
        with pytest.raises(AdminError) as refused:
            await asyncio.to_thread(order, bind, name)
        assert str(refused.value) == f"no backend is called {name}"


@pytest.mark.parametrize("name", ["", "a/b/c", "..", "../../status"])
async def test_what_cannot_be_a_name_reaches_nothing(tmp_path: Path, servers: list[AdminServer], name: str) -> None:
    backends = BareBackends("c1")
    bind = await serve(tmp_path / "admin.sock", [*order_routes(backends), *read_routes(snapshot)], servers)
    with pytest.raises(AdminError):
        await asyncio.to_thread(drain, bind, name)
    assert backends.orders == []


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(AdminError, match=r"lbproxy is not running: nobody listens on .*admin\.sock$"):
        fetch_status(tmp_path / "admin.sock")


def test_a_file_that_a_dead_process_left(tmp_path: Path) -> None:
    listen(tmp_path / "admin.sock").close()
    with pytest.raises(AdminError, match="lbproxy is not running"):
        fetch_status(tmp_path / "admin.sock")


def test_a_closed_port() -> None:
    with listen(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    with pytest.raises(AdminError, match=f"nobody listens on 127.0.0.1 port {port}"):
        fetch_status(("127.0.0.1", port))


async def test_a_refusal_is_passed_on(tmp_path: Path, servers: list[AdminServer]) -> None:
    async def refuse(_: web.Request) -> web.Response:
        return web.Response(status=503, text="not now\n")

    bind = await serve(tmp_path / "admin.sock", [web.get("/status", refuse)], servers)
    with pytest.raises(AdminError, match=r"admin\.sock refused: not now$"):
        await asyncio.to_thread(fetch_status, bind)


async def test_something_else_that_listens_there(tmp_path: Path) -> None:
    path = tmp_path / "other.sock"

    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example\r\n")
        writer.close()

    async with await asyncio.start_unix_server(shout, path):
        with pytest.raises(AdminError, match="lbproxy does not answer on"):
            await asyncio.to_thread(fetch_status, path)


async def test_another_web_server(tmp_path: Path, servers: list[AdminServer]) -> None:
    async def welcome(_: web.Request) -> web.Response:
        return web.Response(text="<h1>It works!</h1>")

    bind = await serve(tmp_path / "admin.sock", [web.get("/status", welcome)], servers)
    with pytest.raises(AdminError, match=r"what answers on .* is not lbproxy"):
        await asyncio.to_thread(fetch_status, bind)


def test_a_path_that_is_too_long_for_a_socket(tmp_path: Path) -> None:
    with pytest.raises(AdminError, match="lbproxy does not answer on"):
        fetch_status(tmp_path / ("x" * 200))
