"""A client of a trial: sends its script, reads the answers strictly, and judges each of them."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from contextlib import suppress
from typing import Any

from .backend import BINDS, LATER, reset
from .checks import Client, Ledger
from .script import ONCE, Request, Visit, pattern

PROMPT = 0.1
"""Seconds that a client waits for a 100 before it sends its body unasked (RFC 9110 section 10.1.1)."""

OWN_ERRORS = frozenset({502, 503, 504})
"""What lbproxy may answer by itself to a request that is well-formed, and was sent without delay."""


class Answers(asyncio.Protocol):
    """The client's end of its connection: answers, one after the other, for the requests in `awaited`.

    looks: at it, since it began to wait for what it waits for; None: it does not wait.
    """

    def __init__(self, ledger: Ledger, client: Client) -> None:
        self.ledger = ledger
        self.client = client
        self.awaited: deque[Request] = deque()
        self.closed = False
        self.invited = False
        self.echoes = False
        self.echoed = 0
        self.ends = False  # the last answer said that there will be no other
        self.refused = False  # what was sent last is no request
        self.looks: int | None = None
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        self._buffer = b""
        self._status = 0
        self._fields: dict[str, str] = {}
        self._in_body = False
        self._left = 0  # of the body; -1: chunked, -2: until the end
        self._body = bytearray()
        self.transport: Any = None

    # --- waiting

    async def happens(self) -> None:
        """The next thing: an answer, an interim one, an echo, or the end."""
        if self.closed:
            return
        self._waiter = self._loop.create_future()
        self.looks = 0
        try:
            await self._waiter
        finally:
            self.looks = None
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def gives_up(self) -> None:
        """Its requests end here: it goes."""
        while self.awaited:
            self._ends("given up")

    # --- what comes

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.client.address = transport.get_extra_info("sockname")[:2]

    def data_received(self, data: bytes) -> None:
        if self.echoes:
            self.echoed += len(data)
            self._wake()
            return
        self._buffer += data
        while self._buffer and self._read():
            pass

    def eof_received(self) -> bool:
        self._end(clean=True)
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._end(clean=error is None)

    def _end(self, clean: bool) -> None:
        if self.closed:
            return
        if self.awaited and self._in_body and self._left == -2 and clean:
            self._whole()
        self.closed = True
        cut = "cut" if self._in_body else "closed"
        while self.awaited:
            self._ends(cut)
            cut = "closed"
        self.transport.abort()
        self._wake()

    def _read(self) -> bool:
        """A head, or a body; whether there may be more."""
        if not self._in_body:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return False
            head, self._buffer = self._buffer[:end], self._buffer[end + 4 :]
            self._head(head)
            return not self.echoes
        if self._left == -1:
            return self._take_chunk()
        taken = len(self._buffer) if self._left == -2 else min(self._left, len(self._buffer))
        self._body += self._buffer[:taken]
        self._buffer = self._buffer[taken:]
        if self._left > 0:
            self._left -= taken
        if self._left == 0:
            self._whole()
        return True

    def _take_chunk(self) -> bool:
        end = self._buffer.find(b"\r\n")
        if end < 0:
            return False
        size = int(self._buffer[:end], 16)
        if len(self._buffer) < end + 2 + size + 2:
            return False
        self._body += self._buffer[end + 2 : end + 2 + size]
        self._buffer = self._buffer[end + 2 + size + 2 :]
        if not size:
            self._whole()
        return True

    def _head(self, head: bytes) -> None:
        first, *lines = head.decode("latin-1").split("\r\n")
        self._status = int(first.split(" ")[1])
        self._fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if self.refused:
            self._buffer = b""
            return
        if not self.awaited:
            self.ledger.broken(f"client {self.client.number} got {first} for nothing")
            self._buffer = b""
            return
        if self._status == 101:
            self._judge()
            self.echoes = True
            self.echoed = len(self._buffer)
            self._ends("upgraded")
        elif self._status < 200:
            self.invited |= self._status == 100
            self._wake()
        else:
            self._in_body = True
            self._body.clear()
            self._left = self._length()
            if self._left == 0:
                self._whole()

    def _length(self) -> int:
        if self.awaited[0].method == "HEAD" or self._status in (204, 304):
            return 0
        if "transfer-encoding" in self._fields:
            return -1
        return int(self._fields["content-length"]) if "content-length" in self._fields else -2

    def _whole(self) -> None:
        """An answer is complete."""
        self._in_body = False
        self.ends |= self._fields.get("connection", "").lower() == "close"
        self._judge()
        own = "x-id" not in self._fields
        self._ends(f"lbproxy's {self._status}" if own else "answered")

    # --- judging

    def _judge(self) -> None:
        request, fields = self.awaited[0], self._fields
        if "x-id" not in fields:
            if self._status not in OWN_ERRORS:
                self._wrong(f"got {self._status} from lbproxy: {bytes(self._body)!r}")
            if request.credential in ONCE:
                self.client.bound = None
            return
        if fields["x-id"] != request.id:
            self._wrong(f"got the answer to {fields['x-id']}")
            return
        user = fields["x-user"] if fields["x-user"] != "-" else None
        if user not in self._possible(request):
            self._wrong(f"was answered as {user}, bound is {self.client.bound}")
        if request.credential in ONCE:
            self.client.bound = user if request.credential in BINDS else None
        if request.method != "HEAD" and self._status != 101:
            body = bytes(self._body)
            if body != pattern(request.id, len(body)) or len(body) not in (40, 200_000):
                self._wrong(f"has a body of another: {body[:80]!r}, {len(body)} bytes")

    def _possible(self, request: Request) -> tuple[str | None, ...]:
        """Whom a request may be answered as."""
        match request.credential:
            case "none":
                return None, self.client.bound
            case "basic" | "kerberos" | "apikey":
                return (request.user,)
            case "ntlm3" | "leg":
                return None, request.user
        return (None,)

    def _ends(self, how: str) -> None:
        request = self.awaited.popleft()
        if how in ("cut", "closed", "given up") and request.credential in ONCE:
            self.client.bound = None
        self.ledger.ended(request, how)
        self._wake()

    def _wrong(self, what: str) -> None:
        self.ledger.broken(f"{self.awaited[0]} {what}")


class Visitor:
    """Plays one visit."""

    def __init__(self, visit: Visit, answers: Answers) -> None:
        self._visit = visit
        self._answers = answers

    async def play(self, address: tuple[str, int], tls: ssl.SSLContext | None) -> None:
        """From connecting to leaving; a connection that ends before a request was sent on it is nothing to see."""
        answers = self._answers
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(
                lambda: answers, *address, ssl=tls, server_hostname="login.test" if tls else None
            )
        except OSError:
            answers.ledger.ends["not connected"] += 1
            return
        try:
            for batch in self._visit.batches:
                await self._ask(batch)
                if answers.closed or answers.echoes or answers.ends:
                    break
            if answers.echoes:
                await self._echo()
            if answers.ends:
                await self._ends()
            elif not answers.closed:
                await self._leave()
        finally:
            answers.gives_up()
            answers.transport.abort()

    async def _ask(self, batch: tuple[Request, ...]) -> None:
        data = b""
        for request in batch:
            if self._answers.closed:
                return
            self._await(request)
            data += request.head()
            if request.expects:
                await self._send(data)
                data = b""
                await self._prompted()
            data += request.body()
        await self._send(data)
        await self._ended()

    def _await(self, request: Request) -> None:
        self._answers.ledger.begins(request, self._answers.client)
        self._answers.awaited.append(request)

    async def _send(self, data: bytes) -> None:
        visit, answers = self._visit, self._answers
        for at in range(0, len(data), max(visit.piece, len(data) // 8)):
            if answers.closed:
                return
            answers.transport.write(data[at : at + max(visit.piece, len(data) // 8)])
            if visit.patience:
                await asyncio.sleep(visit.patience)

    async def _prompted(self) -> None:
        """A 100 has come, or an answer to all that was sent, or it takes too long."""
        answers = self._answers
        answers.invited = False
        with suppress(TimeoutError):
            async with asyncio.timeout(PROMPT):
                while answers.awaited and not answers.invited and not answers.closed:
                    await answers.happens()

    async def _ended(self) -> None:
        while self._answers.awaited and not self._answers.closed:
            await self._answers.happens()

    async def _ends(self) -> None:
        """After an answer that was said to be the last, the connection closes."""
        while not self._answers.closed:
            await self._answers.happens()

    async def _echo(self) -> None:
        """Over the tunnel: what is sent comes back; then it is closed from here, one way or another."""
        answers, sent = self._answers, 0
        for size in (5, 3000, 100_000):
            if answers.closed:
                return
            answers.transport.write(pattern("echo", size))
            sent += size
            while answers.echoed < sent and not answers.closed:
                await answers.happens()
        if answers.transport.can_write_eof() and self._visit.number % 2:
            answers.transport.write_eof()
            while not answers.closed:
                await answers.happens()

    async def _leave(self) -> None:
        """Some of the ways of clients to go; its last request goes with it."""
        answers, last = self._answers, self._visit.last
        write = answers.transport.write
        match self._visit.leaves:
            case "reset":
                reset(answers.transport)
            case "in the head":
                write(last.head()[:-3])
                await asyncio.sleep(LATER)
            case "garbage":
                await self._garbage()
            case "in the body" | "before the answer" | "half-close":
                self._await(last)
                body = last.body()
                write(last.head() + (body[: len(body) // 2] if self._visit.leaves == "in the body" else body))
                if self._visit.leaves == "half-close" and answers.transport.can_write_eof():
                    answers.transport.write_eof()
                    await self._ended()
                elif self._visit.number % 2:
                    await asyncio.sleep(LATER)
                if not answers.closed and self._visit.number % 3:
                    reset(answers.transport)

    async def _garbage(self) -> None:
        """No request: it is refused, and the connection closes."""
        answers = self._answers
        answers.transport.write(b"G@RBAGE\r\n\r\n")
        answers.refused = True
        while not answers.closed:
            await answers.happens()
