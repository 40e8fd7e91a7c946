"""What real servers say to a certificate, and when; and how a conversation ends."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from lbproxy.control.probes.attempt import HungUpError
from lbproxy.control.probes.connect import connect
from lbproxy.control.probes.conversation import Conversation
from tests.control.probes.backends import listening
from tests.control.probes.verifying import demanding, leaving, s_server
from tests.pki import Authority, der

NAME = "login.corp.example"
ROOT, MINT = Authority.root(), Authority.root("mint")
LOGIN = ROOT.server(NAME)
AMPLE = 10.0

_GOODBYE = bytes.fromhex("1703030013")
"""The header of a TLS 1.3 record as long as an encrypted close_notify: alert, content type and tag (RFC 8446 5.2)."""


@asynccontextmanager
async def conversation(port: int, directory: Path, authority: Authority = MINT) -> AsyncIterator[Conversation]:
    """One in which a certificate of `authority` is shown, after the handshake."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    files = authority.issue("lbproxy probe").write(directory, "probe")
    tls.load_cert_chain(files.chain, files.key)
    talk = Conversation(await connect("127.0.0.1", port), tls, NAME)
    try:
        await talk.shake_hands()
        yield talk
    finally:
        talk.close()


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    return MINT.write_certificate(tmp_path / "mint.pem")


async def test_a_certificate_that_is_accepted(tmp_path: Path, ca: Path) -> None:
    with s_server(LOGIN.write(tmp_path), ca) as port:
        async with conversation(port, tmp_path) as talk:
            await talk.hear_verdict(AMPLE)
            assert (talk.version, talk.certificate) == ("TLSv1.3", der(LOGIN.certificate))


async def test_one_that_is_refused_by_an_alert(tmp_path: Path, ca: Path) -> None:
    with s_server(LOGIN.write(tmp_path), ca) as port:
        async with conversation(port, tmp_path, Authority.root("another")) as talk:
            with pytest.raises(ssl.SSLError, match="unknown ca"):
                await talk.hear_verdict(AMPLE)


async def test_one_that_is_refused_without_a_word(tmp_path: Path, ca: Path) -> None:
    async with listening(leaving, demanding(LOGIN.write(tmp_path), ca)) as port, conversation(port, tmp_path) as talk:
        with pytest.raises((HungUpError, ConnectionResetError)):
            await talk.hear_verdict(AMPLE)


@asynccontextmanager
async def withholding(server: int, delivers: bool) -> AsyncIterator[int]:
    """A way to `server` on which what follows the ClientHello waits until our goodbye is there; it `delivers` then."""

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, to_server = await asyncio.open_connection("127.0.0.1", server)
        back = asyncio.ensure_future(_pump(there, writer))
        try:
            to_server.write(await reader.read(65536))
            held = b""
            while held[-24:-19] != _GOODBYE:
                held += await reader.read(65536)
            if delivers:
                to_server.write(held)
            await reader.read()  # until the client closes
        finally:
            back.cancel()
            to_server.close()

    async with listening(relay) as port:
        yield port


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)


async def test_a_busy_server_refuses_when_our_patience_is_over_already(tmp_path: Path, ca: Path) -> None:
    """It has judged our certificate when it comes to our goodbye."""
    with s_server(LOGIN.write(tmp_path), ca) as server:
        async with withholding(server, delivers=True) as port:
            async with conversation(port, tmp_path, Authority.root("another")) as talk:
                with pytest.raises(ssl.SSLError, match="unknown ca"):
                    await talk.hear_verdict(2.0)
            async with conversation(port, tmp_path) as talk:
                await talk.hear_verdict(0.5)


async def test_a_server_that_ignores_our_goodbye_has_let_us_in(tmp_path: Path, ca: Path) -> None:
    with s_server(LOGIN.write(tmp_path), ca) as server:
        async with withholding(server, delivers=False) as port, conversation(port, tmp_path) as talk:
            await talk.hear_verdict(0.1)


async def test_it_ends_in_good_order(tmp_path: Path, ca: Path) -> None:
    ends: asyncio.Queue[bytes] = asyncio.Queue()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends.put_nowait(await reader.read())

    async with listening(serve, demanding(LOGIN.write(tmp_path), ca)) as port:
        async with conversation(port, tmp_path) as talk:
            await talk.leave(AMPLE)
            assert await ends.get() == b""
        async with conversation(port, tmp_path) as talk:
            await talk.hear_verdict(AMPLE)
            await talk.leave(AMPLE)
            assert await ends.get() == b""


async def test_the_server_hears_what_we_did_not_like(tmp_path: Path) -> None:
    """Or its log would tell of a connection that was lost."""
    files = LOGIN.write(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.chain, files.key)
    with socket.create_server(("127.0.0.1", 0)) as server:
        talk = Conversation(await connect(*server.getsockname()), ssl.create_default_context(), NAME)
        accepted, _ = server.accept()
        hearing = asyncio.ensure_future(asyncio.to_thread(context.wrap_socket, accepted, server_side=True))
        with pytest.raises(ssl.SSLCertVerificationError):
            await talk.shake_hands()
        with pytest.raises(ssl.SSLError, match="TLSV1_ALERT_UNKNOWN_CA"):
            await hearing
        talk.close()
