"""A connector that binds users to connections, as IIS and mod_auth_gssapi may do.

It does with each request what the request's script says.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from typing import Any

from .checks import Client, Ledger, Tried
from .script import chunks, pattern

LEG = b"WWW-Authenticate: Negotiate TlRMTVNTUAACAAAA\r\n"
OFFER = b"WWW-Authenticate: Negotiate\r\nWWW-Authenticate: NTLM\r\n"
SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
"""What a PROXY header of version 2 begins with."""

LATER = 0.004
"""Seconds until a backend does what it does later."""

BINDS = frozenset({"kerberos", "apikey", "ntlm3", "leg"})


def reset(transport: asyncio.Transport) -> None:
    """Close with a reset, whatever was written."""
    sock = transport.get_extra_info("socket")
    if sock is not None:  # else its peer was faster
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


class Backend(asyncio.Protocol):
    """One lane of the backend `name`. `proxied`: it begins with a PROXY header."""

    def __init__(self, name: str, ledger: Ledger, proxied: bool) -> None:
        self._name = name
        self._ledger = ledger
        self._awaits_header = proxied
        self._source: tuple[str, int] | None = None
        self._transport: Any = None
        self._buffer = b""
        self._served = 0
        self._owner: Client | None = None
        self._user: str | None = None
        self._legs = False
        self._tried: Tried | None = None
        self._deed = ""
        self._body = bytearray()
        self._left = 0  # bytes of the body that are still to come; -1: chunked
        self._answered = False
        self._echoes = False
        self._gone = False
        self._finished = False  # it has half-closed, and hears nothing any more

    # --- what comes

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        self._gone = True

    def eof_received(self) -> bool:
        return False

    def data_received(self, data: bytes) -> None:
        if self._echoes:
            self._transport.write(data)
            return
        if self._finished:
            return
        self._buffer += data
        if self._awaits_header and not self._read_source():
            return
        while self._buffer and not self._gone and not self._echoes:
            if self._tried is None:
                if not self._begin():
                    return
            elif self._left:
                self._take_body()
            elif self._answered:
                self._next()
            else:
                self._wrong("gets more before it has answered")
                return
        if self._tried is not None and not self._left and self._answered:
            self._next()

    def _read_source(self) -> bool:
        """The PROXY header, version 1 or 2 (HAProxy's proxy-protocol.txt)."""
        if self._buffer.startswith(SIGNATURE[: len(self._buffer)]):
            if len(self._buffer) < 16 or len(self._buffer) < 16 + int.from_bytes(self._buffer[14:16]):
                return False
            end = 16 + int.from_bytes(self._buffer[14:16])
            if self._buffer[12] & 0x0F:
                self._source = socket.inet_ntoa(self._buffer[16:20]), int.from_bytes(self._buffer[24:26])
        else:
            end = self._buffer.find(b"\r\n") + 2
            if end < 2:
                return False
            words = self._buffer[:end].split()
            if words[1] == b"TCP4":
                self._source = words[2].decode(), int(words[4])
        self._buffer = self._buffer[end:]
        self._awaits_header = False
        return True

    def _begin(self) -> bool:
        """A request head is there."""
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        first, *lines = self._buffer[:end].decode("latin-1").split("\r\n")
        self._buffer = self._buffer[end + 4 :]
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        id_ = first.split(" ")[1][1:]
        tried = self._ledger.runs_at(id_, self._name)
        if tried is None:
            reset(self._transport)
            return False
        self._tried, self._answered = tried, False
        self._judge(fields)
        run = tried.runs - 1
        self._deed = tried.request.deeds[run] if run < len(tried.request.deeds) else "answer"
        if self._deed in ("drop", "reset") and self._served == 0:
            self._deed = "answer"  # on a new lane that would eject the backend
        self._served += 1
        self._body.clear()
        self._left = -1 if "transfer-encoding" in fields else int(fields.get("content-length", 0))
        self._act_at_head()
        if not self._left:
            self._whole()
        return True

    def _judge(self, fields: dict[str, str]) -> None:
        """Whether the request is as its client meant it, and whether this lane may have it."""
        assert self._tried is not None
        request, client = self._tried.request, self._tried.client
        if fields.get("authorization") != request.shown:
            self._wrong(f"shows {fields.get('authorization')}")
        if self._owner is not None and self._owner is not client:
            self._wrong(f"comes from client {client.number}, over a lane of client {self._owner.number}")
        if self._source is not None and self._source != client.address:
            self._wrong(f"comes from {client.address}, over a lane of {self._source}")
        shown = self._transport.get_extra_info("peercert")
        name = shown["subject"][-1][0][1] if shown else None
        if name != client.certificate:
            self._wrong(f"is of {client.certificate}, and the certificate of {name}")
        if request.credential not in ("none", "basic"):
            self._owner = client
            self._sign_in(request.credential, request.user)

    def _sign_in(self, credential: str, user: str | None) -> None:
        begun, self._legs = self._legs, False
        match credential:
            case "kerberos" | "apikey":
                self._user = user
            case "ntlm3" | "leg" if begun:
                self._user = user
            case "ntlm1" | "leg":
                self._user, self._legs = None, True
            case _:
                self._user = None

    def _take_body(self) -> None:
        assert self._tried is not None
        request = self._tried.request
        if self._left > 0:
            self._body += self._buffer[: self._left]
            taken = min(self._left, len(self._buffer))
            self._left -= taken
            self._buffer = self._buffer[taken:]
        else:  # what is sent in chunks comes in the same ones
            expected = chunks(pattern(request.id, request.size))
            taken = min(len(expected) - len(self._body), len(self._buffer))
            self._body += self._buffer[:taken]
            self._buffer = self._buffer[taken:]
            if len(self._body) == len(expected):
                self._left = 0
        if not self._left:
            whole = request.body() if request.framing == "chunked" else pattern(request.id, request.size)
            if bytes(self._body) != whole:
                self._wrong("has another body")
            self._whole()

    # --- what it does

    def _act_at_head(self) -> None:
        match self._deed:
            case "early" | "early close":
                self._answer()
            case "drop" | "drop fresh":
                self._transport.close()
            case "reset":
                reset(self._transport)
            case "continue" if self._left:
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            case "hints":
                self._transport.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")

    def _whole(self) -> None:
        """Head and body are there."""
        assert self._tried is not None
        if self._gone or self._answered or self._transport.is_closing() or self._deed == "hang":
            return
        if self._deed == "slow":
            wait = LATER * (1 + len(self._tried.request.id) ** 2)
            asyncio.get_running_loop().call_later(wait, self._answer_late, self._tried)
        else:
            self._answer()

    def _answer_late(self, tried: Tried) -> None:
        if not self._gone and self._tried is tried and not self._answered:
            self._answer()
            if not self._left:
                self._next()

    def _next(self) -> None:
        self._tried = None

    def _answer(self) -> None:
        assert self._tried is not None
        request, deed, write = self._tried.request, self._deed, self._transport.write
        self._answered = True
        if request.upgrade and deed not in ("error", "unavailable", "close"):
            self._echoes = True
            write(
                b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n"
                + self._named()
                + b"\r\n"
            )
            return
        body = pattern(request.id, 200_000 if deed == "large" else 40)
        head, body = self._written(body)
        if request.method == "HEAD":
            body = b""
        match deed:
            case "cut head":
                write(head[:20])
                self._transport.close()
            case "cut body" if body:
                write(head + body[: len(body) // 2])
                self._transport.close()
            case "cut until close" if body:
                write(head + body[: len(body) // 2])
                reset(self._transport)
            case "junk":
                write(head + body + b"junk")
            case "pieces":
                write(head[:30])
                asyncio.get_running_loop().call_later(LATER, self._write_late, head[30:] + body)
            case "until close" | "close" | "early close":
                write(head + body)
                self._transport.close()
            case "half-close" if self._transport.can_write_eof():
                write(head + body)
                self._transport.write_eof()
                self._finished = True
            case "close later":
                write(head + body)
                asyncio.get_running_loop().call_later(LATER, self._transport.close)
            case _:
                write(head + body)

    def _write_late(self, data: bytes) -> None:
        if not self._gone:
            self._transport.write(data)

    def _named(self) -> bytes:
        assert self._tried is not None
        request = self._tried.request
        user = request.user if request.credential == "basic" else self._user
        return f"X-Id: {request.id}\r\nX-User: {user or '-'}\r\n".encode()

    def _written(self, body: bytes) -> tuple[bytes, bytes]:
        """The head of an answer, and its body in its framing."""
        assert self._tried is not None
        request, deed = self._tried.request, self._deed
        status, lines = b"200 OK", b""
        if request.credential == "ntlm1" or (request.credential == "leg" and self._legs):
            status, lines = b"401 Unauthorized", LEG
        elif request.credential in ("refused", "leg", "ntlm3") and self._user is None:
            status, lines = b"401 Unauthorized", OFFER
        elif deed == "offer" and request.credential in ("none", "basic"):
            status, lines = b"401 Unauthorized", OFFER
            self._owner = self._tried.client  # the lane is private from then on
        elif deed in ("error", "unavailable"):
            status = b"500 Oops" if deed == "error" else b"503 Unavailable"
        if deed in ("until close", "cut until close"):
            framing = b""
        elif deed == "chunked" and request.method != "HEAD":
            framing, body = b"Transfer-Encoding: chunked\r\n", chunks(body)
        else:
            framing = b"Content-Length: %d\r\n" % len(body)
        if deed in ("close", "early close", "until close", "cut until close"):
            framing += b"Connection: close\r\n"
        return b"HTTP/1.1 " + status + b"\r\n" + self._named() + lines + framing + b"\r\n", body

    def _wrong(self, what: str) -> None:
        assert self._tried is not None
        self._ledger.broken(f"{self._name}: {self._tried.request} {what}")


async def serve(name: str, ledger: Ledger, proxied: bool, tls: ssl.SSLContext | None) -> tuple[asyncio.Server, int]:
    """Begin to listen: the server and its port."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Backend(name, ledger, proxied), "127.0.0.1", 0, ssl=tls, backlog=1024)
    return server, server.sockets[0].getsockname()[1]
