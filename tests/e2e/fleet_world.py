"""What is around a fleet while much happens to it: users, connectors that bind them to lanes, and links to etcd.

users        ask all the time, each at whatever replica there is, and judge every answer
connectors   sign a user in once a lane, as IIS does, and know which requests they have had
links        between one replica and one node of etcd: may be cut, with a word or without
"""

from __future__ import annotations

import asyncio
import base64
import random
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from urllib.parse import urlsplit

from .backend import Lane, ScriptedBackend, answer, close
from .balancer import Balancer

PAUSE = 0.02
"""Seconds between two requests of a user."""

ANSWER_WITHIN = 30.0
"""Seconds after which a request that has no answer is a fault: the connectors answer at once."""


class Link:
    """Passes connections on to one node of etcd, while it is not `cut`."""

    def __init__(self, target: str) -> None:
        """target: the node's URL."""
        parts = urlsplit(target)
        self._target = parts.hostname, parts.port
        self._whole = asyncio.Event()
        self._whole.set()
        self._refuses = False
        self._writers: set[asyncio.StreamWriter] = set()
        self.url = ""
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def cut(self, refuses: bool) -> None:
        """From now on nothing passes. refuses: connections are reset; else nobody hears a word."""
        self._whole.clear()
        self._refuses = refuses
        if refuses:
            self._abort()

    def mend(self) -> None:
        """Pass on again, over new connections."""
        self._abort()
        self._refuses = False
        self._whole.set()

    async def stop(self) -> None:
        """Close all of it."""
        self._abort()
        self._whole.set()
        if self._server is not None:
            await close(self._server)

    def _abort(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        far: asyncio.StreamWriter | None = None
        try:
            if self._refuses:
                return
            await self._whole.wait()
            there, far = await asyncio.open_connection(*self._target)
            self._writers.add(far)
            await asyncio.wait(
                [asyncio.ensure_future(self._pump(*ends)) for ends in ((reader, far), (there, writer))],
                return_when=asyncio.FIRST_COMPLETED,
            )
        except OSError:
            pass  # the node is gone
        finally:
            for one in (writer, far):
                if one is not None:
                    self._writers.discard(one)
                    one.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(1 << 16):
                await self._whole.wait()
                writer.write(data)
                await writer.drain()


class Desk:
    """The connectors by their names, and what was `wrong` with any request or answer. `posts` are those that ran."""

    def __init__(self, names: Sequence[str]) -> None:
        self.wrong: list[str] = []
        self.posts: set[bytes] = set()
        self.connectors = {name: ScriptedBackend(name, self._serve) for name in names}

    async def _serve(self, lane: Lane) -> None:
        user = b"-"
        while request := await lane.request():
            shown = request.get("authorization")
            if shown is not None:
                user = base64.b64decode(shown.split()[1])
            if request.method == b"POST":
                if request.target in self.posts:
                    self.wrong.append(f"{request.target!r} ran twice")
                self.posts.add(request.target)
            await lane.send(answer(request.target + b" " + user))
            lane.requests.clear()
            lane.backend.requests.clear()
            lane.backend.complete.clear()


class User:
    """Asks for as long as it runs. Without a `name` it signs in nowhere, and nobody else's name may answer it.

    `seen` counts the answers by their status; `cut` is how many visits ended without one, as its replica was killed.
    """

    def __init__(
        self, number: int, name: str, desk: Desk, replicas: Callable[[], list[Balancer]], rng: random.Random
    ) -> None:
        self.seen: Counter[int] = Counter()
        self.cut = 0
        self._number = number
        self._name = name
        self._desk = desk
        self._replicas = replicas
        self._rng = rng
        self._count = 0

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            there = self._replicas()
            if there:
                try:
                    async with asyncio.timeout(ANSWER_WITHIN):
                        await self._visit(self._rng.choice(there))
                except TimeoutError:
                    self._desk.wrong.append(f"user {self._number} had no answer to request {self._count}")
                except OSError:
                    self.cut += 1
            await asyncio.sleep(PAUSE)

    async def _visit(self, replica: Balancer) -> None:
        async with await replica.connect() as client:
            lines = [f"Authorization: Negotiate {base64.b64encode(self._name.encode()).decode()}"] * bool(self._name)
            for _ in range(self._rng.randint(1, 12)):
                self._count += 1
                target, posts = f"/{self._number}/{self._count}", self._rng.random() < 0.5
                response = await client.ask(target, "POST" if posts else "GET", *lines, body=b"x" if posts else None)
                self.seen[response.status] += 1
                self._judge(target, response.status, response.body.decode(errors="replace"))
                if response.closes:
                    return
                lines = []  # the lane knows who it is
                await asyncio.sleep(PAUSE)

    def _judge(self, target: str, status: int, body: str) -> None:
        if status == 200 and body not in (f"{target} {self._name or '-'}", f"{target} -"):
            self._desk.wrong.append(f"{target} of {self._name or 'nobody'} was answered with {body!r}")
        elif status not in (200, 502, 503, 504):
            self._desk.wrong.append(f"{target}: {status}")
