"""Connections to real servers, with and without TLS, and with what has to come first."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path

import pytest

from lbproxy.control.probes.connect import connect, connect_any, shake_hands
from tests.control.probes.backends import behind_proxy_protocol, hanging, listening, resetting, unused_port
from tests.pki import Authority, der

NAME = "login.corp.example"
LOCAL = b"PROXY UNKNOWN\r\n"
LOGIN = Authority.root().server(NAME)


@pytest.fixture
def server(tmp_path: Path) -> ssl.SSLContext:
    files = LOGIN.write(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.chain, files.key)
    return context


def believing() -> ssl.SSLContext:
    """The context of a client that takes every certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@pytest.mark.parametrize("greeting", [b"", LOCAL])
async def test_the_greeting_is_all_that_is_sent(greeting: bytes) -> None:
    received: asyncio.Queue[bytes] = asyncio.Queue()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.put_nowait(await reader.read())

    async with listening(serve) as port:
        (await connect("127.0.0.1", port, greeting)).close()
        assert await received.get() == greeting


async def test_a_name() -> None:
    async with listening(hanging) as port:
        (await connect("localhost", port)).close()


async def test_the_first_address_that_accepts() -> None:
    async with listening(hanging) as port:
        addresses = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port)) for port in (unused_port(), port)]
        with await connect_any(addresses, b"") as sock:
            assert sock.getpeername() == ("127.0.0.1", port)


async def test_nobody_listens() -> None:
    with pytest.raises(ConnectionRefusedError):
        await connect("127.0.0.1", unused_port())


async def test_what_a_tls_server_shows(server: ssl.SSLContext) -> None:
    server.minimum_version = ssl.TLSVersion.TLSv1_3
    async with listening(hanging, server) as port:
        assert await shake_hands("127.0.0.1", port, believing(), NAME) == ("TLSv1.3", der(LOGIN.certificate))


async def test_the_server_name_is_sent(server: ssl.SSLContext) -> None:
    asked = []
    server.sni_callback = lambda _socket, name, _context: asked.append(name)
    async with listening(hanging, server) as port:
        await shake_hands("127.0.0.1", port, believing(), NAME)
    assert asked == [NAME]


async def test_tls_is_ended_in_good_order(server: ssl.SSLContext) -> None:
    """Or connectors would log an error for every probe."""
    ends: asyncio.Queue[bytes | Exception] = asyncio.Queue()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            ends.put_nowait(await reader.read())
        except OSError as error:
            ends.put_nowait(error)

    async with listening(serve, server) as port:
        await shake_hands("127.0.0.1", port, believing(), NAME)
        assert await ends.get() == b""


async def test_the_greeting_comes_before_tls(server: ssl.SSLContext) -> None:
    async with listening(hanging, server) as backend, behind_proxy_protocol(backend) as port:
        assert (await shake_hands("127.0.0.1", port, believing(), NAME, LOCAL)).version == "TLSv1.3"
        with pytest.raises(ConnectionError):
            await shake_hands("127.0.0.1", port, believing(), NAME)


async def test_a_server_that_resets() -> None:
    async with listening(resetting) as port:
        with pytest.raises(ConnectionResetError):
            await shake_hands("127.0.0.1", port, believing(), NAME)


async def test_a_server_without_tls() -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await reader.read()

    async with listening(plain) as port:
        with pytest.raises(ssl.SSLError):
            await shake_hands("127.0.0.1", port, believing(), NAME)


async def test_a_server_without_a_certificate() -> None:
    anonymous, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), believing()
    for context in (anonymous, client):
        context.set_ciphers("AECDH:@SECLEVEL=0")
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with listening(hanging, anonymous) as port:
        with pytest.raises(ssl.SSLError, match="no certificate"):
            await shake_hands("127.0.0.1", port, client, NAME)
