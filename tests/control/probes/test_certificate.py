"""Fetching certificates from real TLS servers."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator

import pytest
import trustme

from lbproxy.control.probes.certificate import peer_certificate


@pytest.fixture
def issued() -> trustme.LeafCert:
    return trustme.CA().issue_cert("login.corp.example")


@pytest.fixture
async def port(issued: trustme.LeafCert) -> AsyncIterator[int]:
    """A TLS server that nobody has reason to trust."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    issued.configure_cert(context)

    async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(close, "127.0.0.1", 0, ssl=context)
    yield server.sockets[0].getsockname()[1]
    server.close()


async def test_it_is_the_leaf_in_der(port: int, issued: trustme.LeafCert) -> None:
    der = await peer_certificate("127.0.0.1", port, "login.corp.example", 5)
    assert ssl.DER_cert_to_PEM_cert(der).strip() == issued.cert_chain_pems[0].bytes().decode().strip()


async def test_a_server_without_tls_is_an_error() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        with pytest.raises(OSError):  # noqa: PT011  # which one depends on the version of OpenSSL
            await peer_certificate("127.0.0.1", server.sockets[0].getsockname()[1], "login.corp.example", 5)


async def test_a_server_that_says_nothing_times_out() -> None:
    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(wait, "127.0.0.1", 0)
    async with server:
        with pytest.raises(TimeoutError):
            await peer_certificate("127.0.0.1", server.sockets[0].getsockname()[1], "login.corp.example", 0.2)
