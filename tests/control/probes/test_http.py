from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator

import pytest
import trustme
from aiohttp import web

from lbproxy import __version__
from lbproxy.control.probes.http import HttpProbe
from lbproxy.control.probes.sockets import Sockets
from tests.control.probes.backends import (
    answering,
    behind_proxy_protocol,
    endless,
    hanging,
    listening,
    resetting,
    unused_port,
)

HEALTHY = frozenset({200, 302, 401})
NAME = "login.corp.example"
OK = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


@pytest.fixture
async def sockets() -> AsyncIterator[Sockets]:
    sockets = Sockets()
    yield sockets
    sockets.close()


@pytest.fixture
async def connector() -> AsyncIterator[Connector]:
    connector = Connector()
    await connector.start()
    yield connector
    await connector.stop()


class Connector:
    """A backend as they are: asks for a ticket, sets a cookie; remembers who asked and over how many connections."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.peers: set[tuple[str, int]] = set()
        app = web.Application()
        app.add_routes([web.route("*", "/{path:.*}", self._answer)])
        self._runner = web.AppRunner(app)

    async def start(self) -> None:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.origin = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        self.peers.add(request.transport.get_extra_info("peername"))
        self.requests.append((request.method, request.raw_path, dict(request.headers)))
        headers = {"WWW-Authenticate": "Negotiate", "Set-Cookie": "session=1", "Location": "/elsewhere"}
        status = {"/moved": 302, "/broken": 500, "/large": 401}.get(request.path, 401)
        return web.Response(status=status, headers=headers | ({"X-Large": "x" * 60_000} if status == 401 else {}))


def probe(sockets: Sockets, url: str, **others: object) -> HttpProbe:
    return HttpProbe(sockets, url, NAME, timeout=10, expect=HEALTHY, **others)  # type: ignore[arg-type]


async def test_401_may_be_healthy_and_its_headers_may_be_large(sockets: Sockets, connector: Connector) -> None:
    result = await probe(sockets, f"{connector.origin}/").run()
    assert (result.ok, result.detail) == (True, "401")


async def test_a_redirect_is_an_answer_and_is_not_followed(sockets: Sockets, connector: Connector) -> None:
    result = await probe(sockets, f"{connector.origin}/moved").run()
    assert (result.ok, result.detail) == (True, "302")
    assert len(connector.requests) == 1


async def test_another_status_is_not_healthy(sockets: Sockets, connector: Connector) -> None:
    result = await probe(sockets, f"{connector.origin}/broken").run()
    assert (result.ok, result.detail) == (False, "500, expected 200 or 302 or 401")


async def test_the_request_is_as_configured(sockets: Sockets, connector: Connector) -> None:
    await probe(sockets, f"{connector.origin}/a%2Fb?c=%7e+d", method="HEAD").run()
    [(method, target, headers)] = connector.requests
    assert (method, target) == ("HEAD", "/a%2Fb?c=%7e+d")
    assert headers == {
        "Host": NAME,
        "User-Agent": f"lbproxy-probe/{__version__}",
        "Accept": "*/*",
        "Connection": "close",
    }


async def test_nothing_outlives_a_probe(sockets: Sockets, connector: Connector) -> None:
    for _ in range(3):
        await probe(sockets, f"{connector.origin}/").run()
    assert len(connector.peers) == 3
    assert not any("Cookie" in headers for _, _, headers in connector.requests)


async def test_a_page_without_a_path_is_the_first_one(sockets: Sockets, connector: Connector) -> None:
    await probe(sockets, f"{connector.origin}?c=d").run()
    assert connector.requests[0][1] == "/?c=d"


async def test_a_backend_by_name(sockets: Sockets) -> None:
    async with listening(OK) as port:
        assert (await probe(sockets, f"http://localhost:{port}/").run()).ok


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_backend_that_wants_a_proxy_header(sockets: Sockets, host: str) -> None:
    async with listening(OK) as backend, behind_proxy_protocol(backend) as port:
        url = f"http://{host}:{port}/"
        assert (await probe(sockets, url, greeting=b"PROXY UNKNOWN\r\n").run()).ok
        assert (await probe(sockets, url).run()).detail == "closed the connection without an answer"


async def test_an_answer_in_small_pieces(sockets: Sockets) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for byte in b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 302 Found\r\n\r\n":
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)

    async with listening(serve) as port:
        assert (await probe(sockets, f"http://127.0.0.1:{port}/").run()).detail == "302"


async def test_lines_that_end_with_lf_alone_if_that_is_wanted(sockets: Sockets) -> None:
    async with listening(answering(b"HTTP/1.1 302 Found\nContent-Length: 0\n\n")) as port:
        url = f"http://127.0.0.1:{port}/"
        assert (await probe(sockets, url, bare_lf=True).run()).ok
        assert not (await probe(sockets, url).run()).ok


async def test_a_body_without_end_is_not_read(sockets: Sockets) -> None:
    gone = asyncio.Event()
    async with listening(endless(b"HTTP/1.1 200 OK\r\n\r\n", gone)) as port:
        assert (await probe(sockets, f"http://127.0.0.1:{port}/").run()).ok
        await gone.wait()


async def test_a_port_that_nobody_listens_on(sockets: Sockets) -> None:
    result = await probe(sockets, f"http://127.0.0.1:{unused_port()}/").run()
    assert (result.ok, result.detail) == (False, "connection refused")


async def test_a_backend_that_hangs(sockets: Sockets) -> None:
    async with listening(hanging) as port:
        result = await HttpProbe(sockets, f"http://127.0.0.1:{port}/", NAME, timeout=0.05).run()
    assert (result.ok, result.detail) == (False, "timed out after 0.05 s")


async def test_a_head_that_never_ends(sockets: Sockets) -> None:
    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        await reader.read()

    async with listening(slow) as port:
        result = await HttpProbe(sockets, f"http://127.0.0.1:{port}/", NAME, timeout=0.05).run()
    assert (result.ok, result.detail) == (False, "timed out after 0.05 s")


async def test_a_backend_that_resets(sockets: Sockets) -> None:
    async with listening(resetting) as port:
        result = await probe(sockets, f"http://127.0.0.1:{port}/").run()
    assert (result.ok, result.detail) == (False, "connection reset by peer")


async def test_a_backend_that_closes_without_a_word(sockets: Sockets) -> None:
    async with listening(answering(b"")) as port:
        result = await probe(sockets, f"http://127.0.0.1:{port}/").run()
    assert (result.ok, result.detail) == (False, "closed the connection without an answer")


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x15\x03\x01\x00\x02\x02\x0a",
        b"\x1b[2J garbage \x00\r\n\r\n",
        b"HTTP/1.1 9999 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-Huge: " + b"x" * 200_000 + b"\r\n\r\n",
    ],
)
async def test_what_is_not_http(sockets: Sockets, answer: bytes) -> None:
    async with listening(answering(answer)) as port:
        result = await probe(sockets, f"http://127.0.0.1:{port}/").run()
    assert (result.ok, result.detail) == (False, "the answer is not HTTP")


class Certificates:
    """A CA, a server that has a certificate of it for NAME, and clients that trust it or do not."""

    def __init__(self) -> None:
        authority, stranger = trustme.CA(), trustme.CA()
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(NAME).configure_cert(self.server)
        self.trusting, self.distrusting = ssl.create_default_context(), ssl.create_default_context()
        authority.configure_trust(self.trusting)
        stranger.configure_trust(self.distrusting)


@pytest.fixture(scope="module")
def certificates() -> Certificates:
    return Certificates()


async def test_tls_under_the_name_in_the_certificate(sockets: Sockets, certificates: Certificates) -> None:
    async with listening(OK, certificates.server) as port:
        url = f"https://127.0.0.1:{port}/"
        result = await probe(sockets, url, tls=certificates.trusting, server_name=NAME).run()
    assert (result.ok, result.detail) == (True, "200")


async def test_tls_with_a_certificate_for_another_name(sockets: Sockets, certificates: Certificates) -> None:
    async with listening(OK, certificates.server) as port:
        result = await probe(sockets, f"https://127.0.0.1:{port}/", tls=certificates.trusting).run()
    assert not result.ok
    assert result.detail.startswith("certificate refused: IP address mismatch")


async def test_tls_with_a_certificate_of_a_strange_ca(sockets: Sockets, certificates: Certificates) -> None:
    async with listening(OK, certificates.server) as port:
        url = f"https://127.0.0.1:{port}/"
        result = await probe(sockets, url, tls=certificates.distrusting, server_name=NAME).run()
    assert not result.ok
    assert result.detail.startswith("certificate refused: unable to get local issuer certificate")


async def test_tls_against_a_plain_backend(sockets: Sockets, certificates: Certificates) -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with listening(plain) as port:
        result = await probe(sockets, f"https://127.0.0.1:{port}/", tls=certificates.trusting).run()
    assert not result.ok
    assert result.detail.startswith("TLS failed: ")
