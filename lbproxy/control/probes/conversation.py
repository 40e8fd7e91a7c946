"""TLS over a socket, step by step: what a server says after the handshake is not told by asyncio's transports.

A server of TLS 1.3 judges the client's certificate when the client's handshake is done already. It may refuse it by an
alert (RFC 8446 section 4.4.2.4), or, as Node.js, end the connection without a word. One that accepts it says so by
session tickets, mostly, and answers the end of TLS; if it does neither, its silence has to do.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from lbproxy.control.probes.attempt import HungUpError, is_refusal

_T = TypeVar("_T")

_LENGTH = 16 * 1024  # bytes that are received at once
_AFTERTHOUGHT = 0.1  # seconds from the first words after the handshake to an end without any: Node.js takes 1 ms


class Conversation:
    """One on `sock`, which is connected, and is closed by `leave` or `close`; we are the client."""

    def __init__(self, sock: socket.socket, tls: ssl.SSLContext, server_name: str) -> None:
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = tls.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name)
        self._said_goodbye = False

    def __repr__(self) -> str:
        return f"<conversation in {self.version or 'no TLS yet'}>"

    @property
    def version(self) -> str:
        """As in "TLSv1.3"; empty before the handshake is done."""
        return self._object.version() or ""

    @property
    def certificate(self) -> bytes | None:
        """The server's leaf certificate, in DER."""
        return self._object.getpeercert(binary_form=True)

    async def shake_hands(self) -> None:
        """Raises OSError, of which ssl.SSLError is one."""
        try:
            await self._do(self._object.do_handshake)
        except ssl.SSLError:
            with suppress(OSError):
                await self._flush()  # the alert that says what we did not like
            raise

    async def hear_verdict(self, patience: float) -> None:
        """Wait until the server has judged our certificate; raises OSError when it has refused it.

        patience: how long, in seconds, to wait for its first words, and as long again for the end of TLS.
        """
        if self.version == "TLSv1.3":  # an earlier one has judged in the handshake
            with suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await self._hear()
                async with asyncio.timeout(min(patience, _AFTERTHOUGHT)):
                    await self._hear()
        await self._say_goodbye(patience)

    async def leave(self, patience: float) -> None:
        """End TLS in good order, so that the server has nothing to log, and close; a failure is ignored."""
        try:
            with suppress(OSError):
                if not self._said_goodbye:
                    await self._say_goodbye(patience)
        finally:
            self.close()

    def close(self) -> None:
        """Close the socket, whatever was said."""
        self._sock.close()

    async def _hear(self) -> None:
        """What comes next: messages of TLS itself, or data, which is no refusal. Raises OSError at the end."""
        ended = not await self._receive()
        with suppress(ssl.SSLWantReadError):
            ended = ended or not self._object.read(_LENGTH)
        if ended:
            raise HungUpError("closed the connection after the handshake")

    async def _say_goodbye(self, patience: float) -> None:
        """Raises OSError when the server answers with a refusal: it comes to our goodbye after our certificate."""
        self._said_goodbye = True
        try:
            async with asyncio.timeout(patience):
                with suppress(ssl.SSLWantReadError):
                    self._object.unwrap()
                await self._flush()
                # Not by unwrap, which takes a fatal alert for the peer's goodbye.
                while await self._do(lambda: self._object.read(_LENGTH)):
                    pass
        except OSError as error:  # whoever leaves without an answer, or gives none, has let us in
            if isinstance(error, ssl.SSLError) and is_refusal(error):
                raise

    async def _do(self, step: Callable[[], _T]) -> _T:
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                await self._flush()
                if not await self._receive():
                    raise ConnectionResetError from None
            else:
                await self._flush()
                return result

    async def _receive(self) -> bool:
        """Whether anything came before the end."""
        data = await self._loop.sock_recv(self._sock, _LENGTH)
        self._incoming.write(data)
        return bool(data)

    async def _flush(self) -> None:
        if data := self._outgoing.read():
            await self._loop.sock_sendall(self._sock, data)
