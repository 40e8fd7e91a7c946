"""Fetching certificates from real TLS servers."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
import trustme

from lbproxy.control.probes.certificate import peer_certificate


@asynccontextmanager
async def serving(greeting: bytes = b"", tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """The port of a server that sends `greeting` and waits for the client's end; its connections are closed after."""
    writers: list[asyncio.StreamWriter] = []

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        writer.write(greeting)
        with suppress(ConnectionError):
            await reader.read()

    server = await asyncio.start_server(greet, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1]
        for writer in writers:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


async def test_it_is_the_leaf_in_der() -> None:
    issued = trustme.CA().issue_cert("login.corp.example")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    issued.configure_cert(context)
    async with serving(tls=context) as port:
        der = await peer_certificate("127.0.0.1", port, "login.corp.example", 5)
    assert ssl.DER_cert_to_PEM_cert(der).strip() == issued.cert_chain_pems[0].bytes().decode().strip()


async def test_a_server_without_tls_is_an_error() -> None:
    async with serving(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        with pytest.raises(OSError):  # noqa: PT011  # which one depends on the version of OpenSSL
            await peer_certificate("127.0.0.1", port, "login.corp.example", 5)


async def test_a_server_that_says_nothing_times_out() -> None:
    async with serving() as port:
        with pytest.raises(TimeoutError):
            await peer_certificate("127.0.0.1", port, "login.corp.example", 0.2)
