"""aiohttp over connections with a greeting, without TLS and with; test_http.py has what its errors become."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import aiohttp
import pytest

from lbproxy.control.probes.connector import GreetingConnector, open_session
from tests.control.probes.backends import answering, behind_proxy_protocol, listening, resetting, unused_port
from tests.pki import Authority

NAME = "login.corp.example"
OK = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
V1 = b"PROXY UNKNOWN\r\n"
V2 = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"


class Tls:
    """A server's context, and those of clients that trust it or do not."""

    def __init__(self, directory: Path) -> None:
        root = Authority.root()
        files = root.server(NAME).write(directory)
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.load_cert_chain(files.chain, files.key)
        self.trusting = ssl.create_default_context(cafile=root.write_certificate(directory / "ca.pem"))
        self.distrusting = ssl.create_default_context()


@pytest.fixture
def tls(tmp_path: Path) -> Tls:
    return Tls(tmp_path)


async def status(
    port: int, greeting: bytes = V1, tls: ssl.SSLContext | None = None, server_name: str | None = NAME
) -> int:
    """What a request over a new connection is answered."""
    scheme = "https" if tls else "http"
    async with (
        aiohttp.ClientSession(connector=GreetingConnector(greeting, force_close=True, limit=0)) as session,
        session.get(f"{scheme}://127.0.0.1:{port}/", ssl=tls or True, server_hostname=server_name) as response,
    ):
        return response.status


@pytest.mark.parametrize("greeting", [V1, V2])
async def test_before_http(greeting: bytes) -> None:
    async with listening(OK) as backend, behind_proxy_protocol(backend) as port:
        assert await status(port, greeting) == 200


@pytest.mark.parametrize("greeting", [V1, V2])
async def test_before_tls(tls: Tls, greeting: bytes) -> None:
    async with listening(OK, tls.server) as backend, behind_proxy_protocol(backend) as port:
        assert await status(port, greeting, tls.trusting) == 200


async def test_each_connection_has_its_own() -> None:
    async with listening(OK) as backend, behind_proxy_protocol(backend) as port:
        for _ in range(3):
            assert await status(port) == 200


async def test_without_a_greeting() -> None:
    async with listening(OK) as port:
        assert await status(port, b"") == 200


async def test_without_the_greeting_that_is_wanted() -> None:
    async with listening(OK) as backend, behind_proxy_protocol(backend) as port:
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await status(port, b"")


async def test_a_certificate_that_is_refused(tls: Tls) -> None:
    async with listening(OK, tls.server) as backend, behind_proxy_protocol(backend) as port:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await status(port, V1, tls.distrusting)
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await status(port, V1, tls.trusting, "other.corp.example")


async def test_a_handshake_that_fails(tls: Tls) -> None:
    async with listening(resetting) as port:
        with pytest.raises(aiohttp.ClientConnectorError) as raised:
            await status(port, b"", tls.trusting)
    assert isinstance(raised.value.os_error, ConnectionResetError)


async def test_nobody_listens() -> None:
    with pytest.raises(aiohttp.ClientConnectorError) as raised:
        await status(unused_port())
    assert isinstance(raised.value.os_error, ConnectionRefusedError)


@pytest.mark.parametrize("force_close", [True, False], ids=["new connection", "kept connection"])
async def test_a_request_is_sent_once_though_its_connection_breaks(force_close: bool) -> None:
    """aiohttp would send a GET again, and with it the token that it carries."""
    heads = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            if b"GET /well " not in heads[-1]:
                return  # closes the connection without an answer
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async with listening(serve) as port, open_session(force_close=force_close) as session:
        async with session.get(f"http://127.0.0.1:{port}/well") as response:
            assert response.status == 200
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await session.get(f"http://127.0.0.1:{port}/breaks", headers={"Authorization": "Negotiate once"})
    assert [head.split()[1] for head in heads] == [b"/well", b"/breaks"]
