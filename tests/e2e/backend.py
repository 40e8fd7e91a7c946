"""A backend on a real socket whose every connection follows a script.

A script is a coroutine function of a `Lane`; what it does is what the backend does:

    async def answers_twice(lane):
        await lane.request()
        await lane.send(answer(b"one") + answer(b"two"))

When the script returns, the lane is closed. Whatever the balancer sent is kept in `requests`.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable

from .client import abort
from .message import LIMIT, Cut, Request, read_body, read_request_head
from .progress import Progress

Script = Callable[["Lane"], Awaitable[None]]


def answer(body: bytes = b"", *lines: str, status: str = "200 OK") -> bytes:
    """A whole response with its Content-Length; `lines` are header lines without CR LF."""
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *lines, "", ""]
    return "\r\n".join(head).encode("latin-1") + body


class Lane:
    """One connection that the balancer opened, seen from the backend. `requests` holds what came over it."""

    def __init__(self, backend: ScriptedBackend, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.backend = backend
        self.reader = reader
        self.writer = writer
        self._socket: socket.socket = writer.get_extra_info("socket")
        self.requests: list[Request] = []
        self.ended = asyncio.Event()
        self.cut: Cut | None = None

    def __repr__(self) -> str:
        return f"<Lane of {self.backend.name}, {len(self.requests)} requests>"

    @property
    def may_be_probe(self) -> bool:
        """Whether a probe for /healthz came over it, or nothing yet."""
        return not self.requests or self.requests[0].target == b"/healthz"

    async def head(self) -> Request | None:
        """The next request's head, its body unread; None when the balancer closed the lane."""
        request = await read_request_head(self.reader)
        if request is not None:
            self.requests.append(request)
            self.backend.requests.append(request)
            self.backend.progress.happened()
        return request

    async def body(self, request: Request) -> None:
        """Read what follows `request` into it."""
        await read_body(self.reader, request, to_the_end=False)
        self.backend.complete.append(request)
        self.backend.progress.happened()

    async def request(self) -> Request | None:
        """The next request, whole; None when the balancer closed the lane."""
        request = await self.head()
        if request is not None:
            await self.body(request)
        return request

    async def send(self, *parts: bytes) -> None:
        """Send each part as a write of its own."""
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()

    async def until_closed(self) -> bytes:
        """Wait until the balancer closed or reset the lane; returns what it still sent."""
        with contextlib.suppress(ConnectionError):
            return await self.reader.read()
        return b""

    def half_close(self) -> None:
        self.writer.write_eof()

    def reset(self) -> None:
        """Send RST."""
        abort(self._socket, self.writer)


async def serve(lane: Lane) -> None:
    """The default script: every request is answered with the backend's name, until the balancer closes."""
    while await lane.request():
        await lane.send(answer(lane.backend.name.encode()))


async def close(server: asyncio.Server) -> None:
    """Close it, once the connections that it has accepted are made.

    One that is made after it fails in asyncio (`Server._attach`, before Python 3.12), and its socket stays open.
    """
    loop = asyncio.get_running_loop()
    for listening in server.sockets:
        loop.remove_reader(listening.fileno())
    for _ in range(3):  # the turns from `accept` to `connection_made`
        await asyncio.sleep(0)
    server.close()


class ScriptedBackend:
    """Listens on 127.0.0.1, or on `host`, and plays `script` on each connection.

    requests    every head, in order of arrival, over all lanes
    complete    those whose body was read to its end
    lanes       every connection, in order; closed ones too
    """

    def __init__(
        self, name: str, script: Script = serve, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
    ) -> None:
        self.name = name
        self.script = script
        self.host = host
        self.port = 0
        self.lanes: list[Lane] = []
        self.requests: list[Request] = []
        self.complete: list[Request] = []
        self.failures: list[Exception] = []
        self.progress = Progress()
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://{self.host}:{self.port}"

    async def start(self) -> None:
        """Listen: on a free port at first, on the same one after a `stop`."""
        self._server = await asyncio.start_server(self._connected, self.host, self.port, ssl=self._tls, limit=LIMIT)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Refuse connections from now on and reset every open one, as the kernel does for a killed process."""
        if self._server is not None:
            server, self._server = self._server, None
            await close(server)
        self.reset_lanes()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def reset_lanes(self, probes: bool = True) -> None:
        """Reset every open lane. probes: also what is the connection of a probe for /healthz, or may be one."""
        for lane in self.open_lanes:
            if probes or not lane.may_be_probe:
                lane.reset()

    def forget(self) -> None:
        """Drop the records of everything that is over."""
        for records in (self.lanes, self.requests, self.complete):
            records.clear()

    def check(self) -> None:
        """Raise what went wrong in scripts since the last check."""
        failures, self.failures = self.failures, []
        if failures:
            raise ExceptionGroup(f"scripts of {self.name} failed", failures)

    @property
    def listens(self) -> bool:
        """Whether it has been started, and not stopped since."""
        return self._server is not None

    @property
    def open_lanes(self) -> list[Lane]:
        return [lane for lane in self.lanes if not lane.ended.is_set()]

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until `condition` holds; it is asked after everything that happens at this backend."""
        await self.progress.until(condition)

    async def until_ended(self, count: int) -> None:
        """Wait until `count` lanes have ended, of all that there ever were."""
        await self.until(lambda: sum(lane.ended.is_set() for lane in self.lanes) >= count)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._server is None:  # it was accepted before the stop
            writer.transport.abort()
            return
        lane = Lane(self, reader, writer)
        self.lanes.append(lane)
        self.progress.happened()
        task = asyncio.ensure_future(self._play(lane))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _play(self, lane: Lane) -> None:
        try:
            await self.script(lane)
        except Cut as error:
            lane.cut = error
        except ConnectionError:
            pass  # the balancer reset the lane while the script was sending: its right
        except Exception as error:
            self.failures.append(error)
        finally:
            lane.writer.close()
            lane.ended.set()
            self.progress.happened()
