"""The data path made from a configuration: it serves, drains and stops on one loop, without a control plane."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme

from lbproxy.balance.backend import Backend
from lbproxy.balance.member import Member
from lbproxy.config import load
from lbproxy.errors import StartError
from lbproxy.net.transport import syn_hold
from lbproxy.record import Record
from lbproxy.runtime.data_path import DataPath
from lbproxy.runtime.model import TICK
from tests.control.probes.backends import silent
from tests.net.peers import until
from tests.process.places import listen_all

CONFIG = """
server_url = "https://login.test:8443"
[listener.login]
bind = "127.0.0.1:0"
pool = "connectors"
{listener}
[pool.connectors]
backends = [{{ name = "c1", url = "{url}" }}]
{pool}
"""
ASK = b"GET / HTTP/1.1\r\nHost: %s\r\n\r\n"
DETACH_FILTER = 27  # SO_DETACH_FILTER, socket(7)


class Bench:
    """A worker, where it listens, and the records that it logged."""

    def __init__(self, worker: DataPath, port: int, records: list[Record]) -> None:
        self.worker = worker
        self.port = port
        self.records = records

    async def ask(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        writer.close()
        return head


def held(sock: socket.socket) -> bool:
    """Whether new connections to the listening socket wait; they do no more."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, DETACH_FILTER, 0)
    except FileNotFoundError:
        return False
    return True


async def connector(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers each request with the request head as its body."""
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while head := await reader.readuntil(b"\r\n\r\n"):
            writer.write(b"HTTP/1.1 200 OK\r\nX-Forwarded: %s\r\n" % b"|".join(sorted(head.splitlines()[1:-1])))
            writer.write(b"Content-Length: 0\r\n\r\n")
    writer.close()


@pytest.fixture
async def backend() -> AsyncIterator[str]:
    server = await asyncio.start_server(connector, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()


@contextlib.asynccontextmanager
async def bench(tmp_path: Path, url: str, listener: str = "", pool: str = "", top: str = "") -> AsyncIterator[Bench]:
    path = tmp_path / "lb.toml"
    path.write_text(top + CONFIG.format(url=url, listener=listener, pool=pool))
    config = load(path)
    sockets = listen_all(config)
    records: list[Record] = []
    try:
        worker = DataPath(config, sockets, records.append, True)
        for one in worker.backends():
            one.lanes.address = (2, (one.host, one.port))
        worker.start()
        yield Bench(worker, sockets["login"].getsockname()[1], records)
        worker.stop()
    finally:
        for sock in sockets.values():
            sock.close()


async def test_it_serves_server_url(tmp_path: Path, backend: str) -> None:
    async with bench(tmp_path, backend) as one:
        head = await one.ask(ASK % b"login.test")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"X-Forwarded-Port: 8443|X-Forwarded-Proto: http" in head
        assert (await one.ask(ASK % b"other.test")).startswith(b"HTTP/1.1 421 ")
    assert [(record.status, record.backend) for record in one.records] == [(200, "c1"), (421, "")]


@pytest.mark.parametrize(("hosts", "status"), [('["*"]', b"200"), ('["a.test"]', b"421")])
async def test_hosts_decide_who_is_served(tmp_path: Path, backend: str, hosts: str, status: bytes) -> None:
    async with bench(tmp_path, backend, listener=f"hosts = {hosts}") as one:
        assert (await one.ask(ASK % b"login.test")).split()[1] == status


async def test_denied_paths_are_denied_in_every_spelling(tmp_path: Path, backend: str) -> None:
    async with bench(tmp_path, backend, listener='deny_paths = ["/Echo"]') as one:
        for path in (b"/echo", b"/ECHO/x", b"/%65cho", b"//echo", b"/a/../echo"):
            head = await one.ask(b"GET %s HTTP/1.1\r\nHost: login.test\r\n\r\n" % path)
            assert head.startswith(b"HTTP/1.1 404 "), path
        assert (await one.ask(b"GET /echoes HTTP/1.1\r\nHost: login.test\r\n\r\n")).startswith(b"HTTP/1.1 200 ")


async def test_a_drain_ends_idle_connections_and_accepts_no_more(tmp_path: Path, backend: str) -> None:
    async with bench(tmp_path, backend) as one:
        reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
        writer.write(ASK % b"login.test")
        await reader.readuntil(b"\r\n\r\n")
        assert one.worker.connections == 1
        assert await one.worker.drain(5)
        assert await reader.read() == b""
        assert one.worker.connections == 0
        writer.close()


async def test_a_drain_ends_after_its_time(tmp_path: Path) -> None:
    asked = asyncio.Event()
    server = await asyncio.start_server(silent(asked), "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, bench(tmp_path, url) as one:
        reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
        writer.write(ASK % b"login.test")
        await asked.wait()
        assert not await one.worker.drain(0.05)
        one.worker.stop()
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()
    assert [(record.status, record.reason) for record in one.records] == [(503, "shutdown")]


async def test_an_ejected_backend_keeps_no_idle_lane(tmp_path: Path, backend: str) -> None:
    async with bench(tmp_path, backend) as one:
        [pool] = one.worker.pools.values()
        [c1] = pool.backends
        pool.probed(c1, True, "200", 0)
        await one.ask(ASK % b"login.test")
        assert len(c1.lanes.idle) == 1
        pool.probed(c1, False, "refused", 0)
        assert len(c1.lanes.idle) == 0
        assert one.worker.lane_ends == {"lane_ejected": 1}


def arrives(one: Bench, url: str) -> Backend:
    """Another member joins, and a probe of it was good."""
    [pool] = one.worker.pools.values()
    pool.apply("dns", [Member("c9", url)])
    backend = pool.by_name("c9")
    assert backend is not None
    backend.lanes.address = (2, (backend.host, backend.port))
    pool.probed(backend, True, "200", 0)
    return backend


class Slow:
    """A backend that answers when it is told to."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            self.asked.set()
            await self.may_answer.wait()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            await reader.read()
        writer.close()


async def test_one_that_joins_serves(tmp_path: Path, backend: str) -> None:
    async with bench(tmp_path, "http://127.0.0.1:1", pool='when_all_down = "refuse"') as one:
        assert (await one.ask(ASK % b"login.test")).startswith(b"HTTP/1.1 503 ")
        arrives(one, backend)
        assert (await one.ask(ASK % b"login.test")).startswith(b"HTTP/1.1 200 ")
        assert one.records[-1].backend == "c9"


async def test_one_that_leaves_answers_what_it_has_and_gets_nothing_new(tmp_path: Path) -> None:
    slow = Slow()
    server = await asyncio.start_server(slow, "127.0.0.1", 0)
    async with server, bench(tmp_path, "http://127.0.0.1:1", pool='when_all_down = "refuse"') as one:
        left = arrives(one, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        asking = asyncio.ensure_future(one.ask(ASK % b"login.test"))
        await slow.asked.wait()
        [pool] = one.worker.pools.values()
        pool.apply("dns", [])
        assert (await one.ask(ASK % b"login.test")).startswith(b"HTTP/1.1 503 ")
        slow.may_answer.set()
        assert (await asking).startswith(b"HTTP/1.1 200 ")
        await until(lambda: repr(one.worker._departures) == "<departures none>")
        assert (left.active, len(left.lanes.idle), left.lanes.private) == (0, 0, 0)


async def test_what_is_left_on_one_that_left_is_cut_after_drain_timeout(tmp_path: Path) -> None:
    slow = Slow()
    server = await asyncio.start_server(slow, "127.0.0.1", 0)
    async with server, bench(tmp_path, "http://127.0.0.1:1", top='drain_timeout = "100ms"') as one:
        arrives(one, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
        writer.write(ASK % b"login.test")
        await slow.asked.wait()
        [pool] = one.worker.pools.values()
        pool.apply("dns", [])
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()
        slow.may_answer.set()
        await until(lambda: one.records)
    assert [(record.backend, record.reason) for record in one.records] == [("c9", "backend_left")]


async def test_idle_lanes_of_one_that_leaves_close_at_once(tmp_path: Path, backend: str) -> None:
    async with bench(tmp_path, "http://127.0.0.1:1") as one:
        c9 = arrives(one, backend)
        await one.ask(ASK % b"login.test")
        assert len(c9.lanes.idle) == 1
        one.worker.pools["connectors"].apply("dns", [])
        assert (len(c9.lanes.idle), one.worker.lane_ends) == (0, {"lane_backend_left": 1})


async def test_an_https_member_whose_tls_cannot_be_used_is_left_out(tmp_path: Path, backend: str) -> None:
    async with bench(tmp_path, backend, pool='tls = { ca = "none.pem" }') as one:
        [problem] = one.worker.pools["connectors"].apply("dns", [Member("c9", "https://127.0.0.1:1")])
        assert problem.startswith("c9: pool.connectors.tls: ")
        assert (await one.ask(ASK % b"login.test")).startswith(b"HTTP/1.1 200 ")


async def test_lanes_to_https_backends_are_verified(tmp_path: Path) -> None:
    ca, other = trustme.CA(), trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    assert await _asked_over_tls(tmp_path, ca) == b"200"
    assert await _asked_over_tls(tmp_path, other) == b"503"


async def _asked_over_tls(tmp_path: Path, issuer: trustme.CA) -> bytes:
    """The status for a request to a backend whose certificate is `issuer`'s; the configuration trusts ca.pem."""
    import ssl

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    issuer.issue_cert("connector.test").configure_cert(context)
    server = await asyncio.start_server(connector, "127.0.0.1", 0, ssl=context)
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    tls = '[pool.connectors.tls]\nca = "ca.pem"\nserver_name = "connector.test"'
    async with server, bench(tmp_path, url, pool=tls) as one:
        return (await one.ask(ASK % b"login.test")).split()[1]


async def test_a_key_that_does_not_fit_is_named(tmp_path: Path, backend: str) -> None:
    ca = trustme.CA()
    ca.issue_cert("login.test").cert_chain_pems[0].write_to_path(tmp_path / "c.pem")
    ca.issue_cert("login.test").private_key_pem.write_to_path(tmp_path / "k.pem")
    tls = '[listener.login.tls]\ncertificate = "c.pem"\nkey = "k.pem"'
    with pytest.raises(StartError, match=r"listener\.login\.tls: .*k\.pem cannot be used with .*c\.pem: "):
        async with bench(tmp_path, backend, listener=tls):
            pass


async def test_backends_are_all_pools_backends(tmp_path: Path, backend: str) -> None:
    async with bench(tmp_path, backend) as one:
        found: list[Backend] = one.worker.backends()
        assert [found_one.name for found_one in found] == ["c1"]
        assert "0 connections" in repr(one.worker)


async def test_it_measures_how_late_its_loop_is(tmp_path: Path, backend: str) -> None:
    async with bench(tmp_path, backend) as one:
        lag = one.worker.model.lag
        while not lag.observed:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        time.sleep(TICK + 0.06)  # noqa: ASYNC251  # the loop stands still
        while lag.worst < 0.05:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert lag.observed - dict(lag.histogram())[0.05] >= 1


async def test_before_its_address_moves_connections_finish_and_new_ones_wait(tmp_path: Path, backend: str) -> None:
    async with bench(tmp_path, backend) as one:
        (idle, idle_writer), (busy, busy_writer) = [
            await asyncio.open_connection("127.0.0.1", one.port) for _ in range(2)
        ]
        for reader, writer in ((idle, idle_writer), (busy, busy_writer)):
            writer.write(ASK % b"login.test")
            assert b"Connection: close" not in await reader.readuntil(b"\r\n\r\n")
        one.worker.hold(["login"])
        waiting = asyncio.ensure_future(one.ask(ASK % b"login.test"))
        busy_writer.write(ASK % b"login.test")
        assert b"Connection: close" in await busy.readuntil(b"\r\n\r\n")
        assert await busy.read() == await idle.read() == b""
        assert not waiting.done()
        one.worker.release([])
        assert b"Connection: close" not in await waiting
        for writer in (idle_writer, busy_writer):
            writer.close()
    assert [record.reason for record in one.records] == ["done"] * 4


async def test_connections_to_an_address_that_has_moved_are_cut(tmp_path: Path) -> None:
    asked, ended = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await silent(asked)(reader, writer)
        ended.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, bench(tmp_path, url) as one:
        reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
        writer.write(ASK % b"login.test")
        await asked.wait()
        one.worker.hold(["login"])
        one.worker.release(["login"])
        assert one.worker.connections == 0
        with pytest.raises(ConnectionResetError):
            await reader.read()
        await ended.wait()
        writer.close()
    assert [record.reason for record in one.records] == ["address_gone"]


async def test_a_hold_that_a_dead_process_has_left_ends_with_the_next_start(tmp_path: Path, backend: str) -> None:
    path = tmp_path / "lb.toml"
    path.write_text(CONFIG.format(url=backend, listener="", pool=""))
    config = load(path)
    sockets = listen_all(config)
    syn_hold.hold(sockets["login"])
    worker = DataPath(config, sockets, lambda _: None, False)
    worker.start()
    reader, writer = await asyncio.open_connection(*sockets["login"].getsockname())
    worker.stop()
    assert await reader.read() == b""
    writer.close()
    sockets["login"].close()


async def test_a_hold_of_a_process_that_retires_ends(tmp_path: Path, backend: str) -> None:
    """It cannot end later: the socket is another process's too by then, and closed here."""
    async with bench(tmp_path, backend) as one:
        one.worker.hold(["login"])
        one.worker.retire()
        assert not held(one.worker.listeners["login"].socket)
        one.worker.hold(["login"])  # it is asked for the health once more
        assert not held(one.worker.listeners["login"].socket)


async def test_a_hold_of_another_process_is_released_too(tmp_path: Path, backend: str) -> None:
    async with bench(tmp_path, backend) as one:
        shared = one.worker.listeners["login"].socket
        syn_hold.hold(shared)
        one.worker.release([])
        assert not held(shared)
