"""The connections that probes open: TCP, what must come first, and perhaps TLS.

A backend that expects a PROXY header takes nothing before it, not even TLS. So there is a `greeting`, which is sent as
soon as the connection stands: for such a backend a LOCAL header ("this is the proxy itself"), else nothing.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Sequence
from typing import NamedTuple

from aiohappyeyeballs import AddrInfoType, start_connection

from lbproxy.control import tasks
from lbproxy.control.probes.conversation import Conversation

_NEXT_ADDRESS = 0.25  # seconds until a name's next address is tried too (RFC 8305 section 8)
_leaving: set[asyncio.Task[None]] = set()  # the event loop holds no strong reference
GOODBYE = 1.0  # seconds for the peer to answer the end of TLS; no probe waits for it


class Handshake(NamedTuple):
    """What a TLS server has shown: `version` as in "TLSv1.3", and its leaf certificate in DER."""

    version: str
    certificate: bytes


async def connect(host: str, port: int, greeting: bytes = b"") -> socket.socket:
    """A connected socket on which `greeting` was sent; host: a name or an address, without brackets. Raises OSError."""
    addresses = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return await connect_any(addresses, greeting)


async def connect_any(addresses: Sequence[AddrInfoType], greeting: bytes) -> socket.socket:
    """The same, to the first of `addresses` that accepts."""
    sock = await start_connection(addresses, happy_eyeballs_delay=_NEXT_ADDRESS)
    try:
        if greeting:
            await asyncio.get_running_loop().sock_sendall(sock, greeting)
    except BaseException:
        sock.close()
        raise
    return sock


async def shake_hands(
    host: str, port: int, tls: ssl.SSLContext, server_name: str, greeting: bytes = b"", patience: float = 0.0
) -> Handshake:
    """Connect, end the handshake as `tls` demands, and leave. Raises OSError, of which ssl.SSLError is one.

    server_name: the SNI that is sent and, where `tls` verifies, the name that the certificate must have. patience: not
    0 to hear, too, whether the server accepts our certificate: see `Conversation.hear_verdict`.
    """
    conversation = Conversation(await connect(host, port, greeting), tls, server_name)
    try:
        await conversation.shake_hands()
        shown = Handshake(conversation.version, conversation.certificate or b"")
        if patience:
            await conversation.hear_verdict(patience)
    except BaseException:
        conversation.close()
        raise
    _leave(conversation)
    if not shown.certificate:
        raise ssl.SSLError("the server presented no certificate")
    return shown


def _leave(conversation: Conversation) -> None:
    """Without a wait for it."""
    leaving = tasks.start(conversation.leave(GOODBYE), name="goodbye")
    _leaving.add(leaving)
    leaving.add_done_callback(_leaving.discard)
