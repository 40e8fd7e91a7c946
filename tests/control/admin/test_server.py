from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from lbproxy.control.admin import server, web
from lbproxy.control.admin.routes import health_routes, read_routes
from lbproxy.control.admin.server import AdminServer
from lbproxy.control.admin.sockets import listen
from tests.control.sample import snapshot


@pytest.fixture
async def path(tmp_path: Path) -> AsyncIterator[Path]:
    """The Unix socket of a running server."""
    server = AdminServer(listen(tmp_path / "admin.sock"), read_routes(snapshot))
    await server.start()
    yield tmp_path / "admin.sock"
    await server.stop()


async def test_answers_on_a_unix_socket_whatever_the_host_says(path: Path) -> None:
    async with (
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as session,
        session.get("http://any.example/healthz") as response,
    ):
        assert (response.status, await response.text()) == (200, "ok\n")


async def test_answers_on_a_loopback_port_but_not_to_web_pages() -> None:
    sock = listen(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{sock.getsockname()[1]}/status"
    server = AdminServer(sock, read_routes(snapshot))
    await server.start()
    async with aiohttp.ClientSession() as session:
        async with session.get(url) as response:
            assert (await response.json())["pid"] == snapshot()["pid"]
        async with session.get(url, headers={"Host": "rebound.example"}) as response:
            assert response.status == 403
    await server.stop()


async def test_health_is_for_anybody() -> None:
    sock = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{sock.getsockname()[1]}"
    server = AdminServer(sock, health_routes(snapshot), anybody=True)
    await server.start()
    async with aiohttp.ClientSession() as session:
        statuses = {}
        for path in ("/healthz", "/readyz", "/status", "/metrics"):
            async with session.get(url + path, headers={"Host": "10.0.0.1"}) as response:
                statuses[path] = response.status
    await server.stop()
    assert statuses == {"/healthz": 200, "/readyz": 200, "/status": 404, "/metrics": 404}


async def test_a_client_that_has_connected_before_the_stop_is_answered(tmp_path: Path) -> None:
    """Another process has the socket after a reload, but not the connections that this one has accepted."""
    server = AdminServer(listen(tmp_path / "admin.sock"), read_routes(snapshot))
    await server.start()
    reader, writer = await asyncio.open_unix_connection(str(tmp_path / "admin.sock"))
    stopping = asyncio.create_task(server.stop())
    await asyncio.sleep(0)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
    await stopping
    writer.close()


async def test_a_stopped_server_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    server = AdminServer(listen(path), read_routes(snapshot))
    await server.start()
    await server.stop()
    assert not path.exists()


async def test_a_stopped_server_leaves_the_file_of_its_successor(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    server = AdminServer(listen(path), read_routes(snapshot))
    await server.start()
    path.unlink()
    with listen(path):
        await server.stop()
        assert path.exists()


async def test_can_be_stopped_before_it_started(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    await AdminServer(listen(path), read_routes(snapshot)).stop()
    assert not path.exists()


async def test_says_where_it_is(tmp_path: Path) -> None:
    server = AdminServer(listen(tmp_path / "admin.sock"), [])
    assert repr(server) == f"<AdminServer {tmp_path}/admin.sock>"
    await server.stop()


async def test_a_client_that_speaks_no_http_is_no_fault(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Nul: \0\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
    writer.close()
    await writer.wait_closed()
    assert not caplog.records


async def test_a_fault_of_lbproxy_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def fail(_: web.Request) -> web.Response:
        raise RuntimeError("a fault")

    server = AdminServer(listen(tmp_path / "admin.sock"), [web.get("/", fail)])
    await server.start()
    async with (
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(tmp_path / "admin.sock"))) as session,
        session.get("http://localhost/") as response,
    ):
        assert response.status == 500
    await server.stop()
    [record] = caplog.records
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "a fault"


GET = b"GET /%s HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Crowded:
    """`held` clients have their request at work until `may_end`; the others read `large`, or not."""

    def __init__(self) -> None:
        self.held = 0
        self.changed = asyncio.Event()
        self.may_end = asyncio.Event()

    def routes(self) -> list[web.Route]:
        return [web.get("/held", self._held), web.get("/large", self._large), web.get("/small", self._small)]

    async def _held(self, _: web.Request) -> web.Response:
        self.held += 1
        self.changed.set()
        await self.may_end.wait()
        return web.Response(text="ended\n")

    async def _large(self, _: web.Request) -> web.Response:
        return web.Response(text="x" * 4_000_000)

    async def _small(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")


@pytest.fixture
async def crowded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Crowded, AdminServer]]:
    """A server for three connections at a time."""
    monkeypatch.setattr(server, "MOST", 3)
    scene = Crowded()
    running = AdminServer(listen(tmp_path / "admin.sock"), scene.routes())
    await running.start()
    yield scene, running
    scene.may_end.set()
    await running.stop()


async def test_clients_that_never_read_take_no_place_from_others(
    crowded: tuple[Crowded, AdminServer], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The oldest of them makes room, so that there are never more answers than places."""
    _, running = crowded
    silent = []
    for _ in range(20):
        reader, writer = await asyncio.open_unix_connection(tmp_path / "admin.sock", limit=1)
        writer.write(GET % b"large")
        silent.append((reader, writer))
        assert await asked(tmp_path, b"small") == b"ok\n"
        assert len(running._open) <= 3
    assert [record.message for record in caplog.records] == ["admin_full"]
    for _, writer in silent:
        writer.close()


async def test_one_whose_request_is_at_work_is_not_ended(crowded: tuple[Crowded, AdminServer], tmp_path: Path) -> None:
    """Where all are, one more is closed at once: it may try again."""
    scene, _ = crowded
    held = [asyncio.ensure_future(asked(tmp_path, b"held")) for _ in range(3)]
    while scene.held < 3:
        scene.changed.clear()
        await scene.changed.wait()
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await asked(tmp_path, b"small")
    scene.may_end.set()
    assert await asyncio.gather(*held) == [b"ended\n"] * 3
    assert await asked(tmp_path, b"small") == b"ok\n"


async def asked(folder: Path, path: bytes) -> bytes:
    """The body that is answered, over a connection that then closes."""
    reader, writer = await asyncio.open_unix_connection(folder / "admin.sock")
    try:
        writer.write((GET % path).replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        await reader.readuntil(b"\r\n\r\n")
        return await reader.read()
    finally:
        writer.close()
