"""One connection of a client of the admin interface: its requests, one after the other."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from lbproxy.control.admin.web import Refusal, Request, Response
from lbproxy.reasons import Reason
from lbproxy.wire.fields import Field, Limits
from lbproxy.wire.headers import request_fields
from lbproxy.wire.heads import Framing
from lbproxy.wire.request_heads import RequestHead

log = logging.getLogger(__name__)

IDLE = 75.0
"""Seconds that a connection may wait for its next request."""

WITHIN = 30.0
"""Seconds for a request to be complete, once its first byte has come; and for an answer to be taken."""

GRACE = 0.1
"""Seconds for the request of a client that connected just before a stop: after a reload, say, it is not refused."""

LARGEST = 1024 * 1024
"""Bytes of a body."""

_LINGER = 1.0
"""Seconds for a client to read why its request is refused, which it may still be sending (RFC 9112 section 9.6)."""

_PIECE = 64 * 1024
_LIMITS = Limits(max_head=32 * 1024, max_target=16 * 1024)
_FIELDS = request_fields()
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Exchange:
    """Reads requests, has them answered, and closes."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        answer: Callable[[Request], Awaitable[Response]],
    ) -> None:
        """answer: may raise Refusal."""
        self._reader = reader
        self._writer = writer
        self._answer = answer
        self._head = RequestHead(_LIMITS, _FIELDS)
        self._data = b""
        self._waiting: asyncio.Timeout | None = None  # for a request
        self._answering = self._asked = self._last = self._again = False
        writer.transport.set_write_buffer_limits(high=0)  # an answer is taken when all of it is out of this process

    def __repr__(self) -> str:
        return f"<admin connection, {'has asked' if self._asked else 'has not asked yet'}>"

    @property
    def waits_for_client(self) -> bool:
        """Whether the next step is the client's: to ask, or to take its answer."""
        return not self._answering

    def finish(self) -> None:
        """Answer what is asked, or is just being asked, and close."""
        self._last = True
        if self._waiting is not None and not self._data:
            patience = 0.0 if self._asked else GRACE
            self._waiting.reschedule(asyncio.get_running_loop().time() + patience)

    async def run(self) -> None:
        """Returns when the connection is closed."""
        try:
            while await self._one():
                pass
        except (OSError, EOFError):  # it is gone, or was silent for too long: TimeoutError is an OSError
            pass
        finally:
            # A close would wait for a client that does not read: without end, with the socket and the answer kept.
            if self._writer.transport.get_write_buffer_size():
                self._writer.transport.abort()
            self._writer.close()

    async def _one(self) -> bool:
        """Answer the next request; whether there may be another one."""
        self._again = False
        try:
            request = await self._request()
        except Refusal as refusal:
            await self._send(refusal.response.encoded(_now(), last=True))
            await self._linger()
            return False
        response = await self._answered(request)
        again = self._again and not self._last
        await self._send(response.encoded(_now(), request.method == "HEAD", last=not again))
        return again

    async def _request(self) -> Request:
        """The next request. Raises Refusal, and EOFError or OSError where there is none."""
        try:
            async with asyncio.timeout(GRACE if self._last else IDLE) as self._waiting:
                if not self._data:
                    await self._more()
                self._asked = True
                self._waiting.reschedule(asyncio.get_running_loop().time() + WITHIN)
                while not (size := self._head.read(self._data)):
                    await self._more()
                if isinstance(size, Reason):
                    raise Refusal(size.status or 400, f"{size.text}\n")
                method, target = self._head.line()
                lines = self._head.fields()
                self._data = self._data[size:]
                body = await self._body()
        finally:
            self._waiting = None
        self._again = self._head.minor > 0 and self._head.keeps_alive()
        headers = {name.decode("ascii").lower(): value.decode("utf-8", "replace") for name, value, _ in lines}
        sock = self._writer.get_extra_info("socket")
        return Request.of(method.decode("ascii"), target.decode("ascii"), headers, body, sock)

    async def _body(self) -> bytes:
        if self._head.framing == Framing.CHUNKED:
            raise Refusal(411, "a body has to have a Content-Length\n")
        size = self._head.length
        if size > LARGEST:
            raise Refusal(413, f"the body is larger than {LARGEST} bytes\n")
        if self._head.values(Field.EXPECT):
            self._writer.write(_CONTINUE)
        while len(self._data) < size:
            await self._more()
        body, self._data = self._data[:size], self._data[size:]
        return body

    async def _more(self) -> None:
        more = await self._reader.read(_PIECE)
        if not more:
            raise EOFError
        self._data += more

    async def _answered(self, request: Request) -> Response:
        self._answering = True
        try:
            return await self._answer(request)
        except Refusal as refusal:
            return refusal.response
        except Exception as error:  # a fault in one route: the others go on
            log.error("admin_failed", extra={"fields": {"path": request.path}}, exc_info=error)
            return Response(500, "a fault of lbproxy, which is in its log\n")
        finally:
            self._answering = False

    async def _send(self, data: bytes) -> None:
        self._writer.write(data)
        async with asyncio.timeout(WITHIN):
            await self._writer.drain()

    async def _linger(self) -> None:
        self._writer.write_eof()
        with suppress(TimeoutError):
            async with asyncio.timeout(_LINGER):
                while await self._reader.read(_PIECE):
                    pass


def _now() -> str:
    """RFC 9110 section 5.6.7."""
    return time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())
