"""What is said on one connection of a client of the admin interface."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from lbproxy.control.admin import exchange
from lbproxy.control.admin.exchange import LARGEST, Exchange
from lbproxy.control.admin.web import Refusal, Request, Response

Told = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[], Awaitable[Told]]


class Scene:
    """A server of one exchange a connection. `answer` is what it does with a request: it says what was asked."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.began = asyncio.Event()
        self.connected_once = asyncio.Event()
        self.may_end = asyncio.Event()
        self.may_end.set()

    async def answer(self, request: Request) -> Response:
        self.began.set()
        await self.may_end.wait()
        if request.path == "/refused":
            raise Refusal(403, "no\n")
        if request.path == "/broken":
            raise RuntimeError("a fault")
        if request.path == "/large":  # too large for the buffers of two sockets
            return Response(text="x" * 32_000_000)
        told = [request.method, request.path, request.headers.get("x-a", "-"), request.body.decode()]
        return Response(text=" ".join(told))

    def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.exchanges.append(Exchange(reader, writer, self.answer))
        self.tasks.append(asyncio.ensure_future(self.exchanges[-1].run()))
        self.connected_once.set()


@pytest.fixture
async def scene() -> Scene:
    return Scene()


@pytest.fixture
async def client(scene: Scene) -> AsyncIterator[Told]:
    async with await asyncio.start_server(scene.connected, "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        yield reader, writer
        writer.close()
        await writer.wait_closed()
        await asyncio.gather(*scene.tasks)


async def response(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """The status and the body of the next answer."""
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode().lower().split("\r\n")
    length = next((int(line.split(": ")[1]) for line in lines if line.startswith("content-length: ")), 0)
    return int(lines[0].split()[1]), await reader.readexactly(length)


async def test_requests_are_answered_in_turn(client: Told) -> None:
    reader, writer = client
    writer.write(b"GET /a HTTP/1.1\r\nHost: x\r\nX-A: \xc3\xa4\r\n\r\n")
    assert await response(reader) == (200, "GET /a ä ".encode())
    pieces = "PUT /b HTTP/1.1\r\nHost: x\r\nContent|-Length: 3\r\n\r\na|bcGET /c HTTP/1.1\r\nHost: x\r\n\r\n"
    for piece in pieces.split("|"):
        writer.write(piece.encode())
        await asyncio.sleep(0)
    assert await response(reader) == (200, b"PUT /b - abc")
    assert await response(reader) == (200, b"GET /c - ")


@pytest.mark.parametrize(
    "asked", [b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"GET /a HTTP/1.0\r\n\r\n"]
)
async def test_the_last_answer_says_so(client: Told, asked: bytes) -> None:
    reader, writer = client
    writer.write(asked)
    answer = await reader.read()
    assert b"\r\nConnection: close\r\n" in answer
    assert answer.endswith(b"\r\n\r\nGET /a - ")


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (b"GET /a\r\n\r\n", 400),
        (b"GET /a HTTP/1.1\r\n\r\n", 400),
        (b"GET /a HTTP/1.1\r\nHost: x\r\nX-Nul: \0\r\n\r\n", 400),
        (b"GET /a HTTP/1.1\nHost: x\n\n", 400),
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 40_000 + b"\r\n\r\n", 431),
        (b"PUT /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
        (b"PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (LARGEST + 1) + b"a" * 500_000, 413),
    ],
)
async def test_what_is_not_understood_is_refused_and_is_the_last(client: Told, asked: bytes, status: int) -> None:
    reader, writer = client
    writer.write(asked)
    assert (await response(reader))[0] == status
    assert await reader.read() == b""


async def test_a_refusal_of_a_route_is_not_the_last(client: Told) -> None:
    reader, writer = client
    for _ in range(2):
        writer.write(b"GET /refused HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await response(reader) == (403, b"no\n")


async def test_a_fault_is_logged_and_answered(client: Told, caplog: pytest.LogCaptureFixture) -> None:
    reader, writer = client
    writer.write(b"GET /broken HTTP/1.1\r\nHost: x\r\n\r\nGET /a HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await response(reader))[0] == 500
    assert (await response(reader))[0] == 200
    [record] = caplog.records
    assert (record.message, vars(record)["fields"]) == ("admin_failed", {"path": "/broken"})


async def test_a_body_is_asked_for_where_it_is_held_back(client: Told) -> None:
    """RFC 9110 section 10.1.1; curl does so with a large one."""
    reader, writer = client
    writer.write(b"PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"ab")
    assert await response(reader) == (200, b"PUT /a - ab")


async def test_one_that_is_silent_is_closed(client: Told, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "IDLE", 0.02)
    reader, writer = client
    writer.write(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
    assert await response(reader) == (200, b"GET /a - ")
    assert await reader.read() == b""


async def test_one_that_does_not_end_its_request_is_closed(client: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "WITHIN", 0.02)
    reader, writer = client
    writer.write(b"GET /a HTT")
    assert await reader.read() == b""


async def test_one_that_takes_no_answer_is_cut_off(client: Told, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the answer that no kernel has room for nor the socket is kept."""
    monkeypatch.setattr(exchange, "WITHIN", 0.05)
    _, writer = client
    transport = writer.transport
    assert isinstance(transport, asyncio.Transport)
    transport.pause_reading()
    writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
    [served] = await asyncio.wait_for(_ended(scene), 20.0)
    assert served.transport.get_write_buffer_size() == 0
    assert served.get_extra_info("socket").fileno() == -1
    transport.resume_reading()


async def _ended(scene: Scene) -> list[asyncio.StreamWriter]:
    """Wait until the server has let go of all connections."""
    await scene.connected_once.wait()
    await asyncio.gather(*scene.tasks)
    await asyncio.sleep(0)  # an aborted transport is told so at the next turn of the loop
    return [one._writer for one in scene.exchanges]


async def test_at_the_end_what_is_asked_is_answered(client: Told, scene: Scene) -> None:
    reader, writer = client
    scene.may_end.clear()
    writer.write(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
    await scene.began.wait()
    scene.exchanges[0].finish()
    scene.may_end.set()
    assert (await reader.read()).endswith(b"Connection: close\r\n\r\nGET /a - ")


async def test_at_the_end_one_that_waits_is_closed(client: Told, scene: Scene) -> None:
    reader, writer = client
    writer.write(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
    await response(reader)
    assert repr(scene.exchanges[0]) == "<admin connection, has asked>"
    scene.exchanges[0].finish()
    assert await reader.read() == b""
