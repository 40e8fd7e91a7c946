from __future__ import annotations

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from lbproxy.control.consistency.page import LONGEST_BODY, Page, PageRequest
from lbproxy.control.consistency.reading import Unreadable
from lbproxy.control.probes.connector import open_session
from tests.control.probes.backends import answering, endless, hanging, listening, resetting, unused_port
from tests.control.probes.verifying import s_server
from tests.pki import Authority

ORIGIN = "https://login.corp.example:8443"
AMPLE = 10.0


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with open_session() as session:
        yield session


def request(session: aiohttp.ClientSession, port: int, timeout: float = AMPLE) -> PageRequest:
    return PageRequest(session, f"http://127.0.0.1:{port}/about?a=%7e", ORIGIN, timeout)


async def fetched(session: aiohttp.ClientSession, answer: bytes) -> Page:
    async with listening(answering(answer)) as port:
        return await request(session, port).fetch()


async def trouble(asked: PageRequest) -> str:
    with pytest.raises(Unreadable) as raised:
        await asked.fetch()
    return str(raised.value)


def content_trouble(page: Page) -> str:
    with pytest.raises(Unreadable) as raised:
        page.content()
    return str(raised.value)


async def test_it_is_asked_for_as_users_would(session: aiohttp.ClientSession) -> None:
    heads: asyncio.Queue[bytes] = asyncio.Queue()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.put_nowait(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")

    async with listening(serve) as port:
        page = await request(session, port).fetch()
    assert page.content() == b"hi"
    lines = (await heads.get()).decode().split("\r\n")
    assert lines[0] == "GET /about?a=%7e HTTP/1.1"
    assert {"Host: login.corp.example:8443", "X-Forwarded-Proto: https"} <= set(lines)
    assert not any(line.lower().startswith(("x-forwarded-host", "accept-encoding", "cookie")) for line in lines)


async def test_an_answer_of_any_status_with_all_its_headers(session: aiohttp.ClientSession) -> None:
    page = await fetched(
        session,
        b"HTTP/1.1 401 -\r\nWWW-Authenticate: Negotiate\r\nwww-authenticate: NTLM\r\nContent-Length: 0\r\n\r\n",
    )
    assert page == Page(401, {"www-authenticate": "Negotiate, NTLM", "content-length": "0"}, b"")
    assert content_trouble(page) == "the page answers with 401"


async def test_a_redirect_is_not_followed(session: aiohttp.ClientSession) -> None:
    page = await fetched(session, b"HTTP/1.1 302 -\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")
    assert (page.status, page.headers["location"]) == (302, "http://127.0.0.1:1/")


async def test_the_longest_page_and_one_that_is_longer(session: aiohttp.ClientSession) -> None:
    for length, good in ((LONGEST_BODY, True), (LONGEST_BODY + 1, False)):
        page = await fetched(session, b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * length)
        if good:
            assert len(page.content()) == length
        else:
            assert content_trouble(page) == "the page is longer than 64 KiB"


async def test_a_page_without_end_is_left(session: aiohttp.ClientSession) -> None:
    gone = asyncio.Event()
    async with listening(endless(b"HTTP/1.1 200 OK\r\nX-Version: 1\r\n\r\n", gone)) as port:
        page = await request(session, port).fetch()
        await gone.wait()
    assert page.headers == {"x-version": "1"}
    assert len(page.body) == LONGEST_BODY + 1


async def test_a_small_page_stays_small(session: aiohttp.ClientSession) -> None:
    """However much it would be unpacked."""
    bomb = gzip.compress(b"\0" * 10_000_000)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    page = await fetched(session, head + bomb)
    assert page.body == bomb
    assert content_trouble(page) == "the page is encoded (gzip), which was not asked for"


async def test_no_answer(session: aiohttp.ClientSession) -> None:
    assert await trouble(request(session, unused_port())) == "connection refused"
    for serve, words in (
        (resetting, "connection reset by peer"),
        (answering(b""), "closed the connection without an answer"),
        (answering(b"SSH-2.0-OpenSSH_9.2\r\n"), "the answer is not HTTP"),
        (answering(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"), "the answer was cut short"),
    ):
        async with listening(serve) as port:
            assert await trouble(request(session, port)) == words


async def test_a_page_that_trickles_has_the_same_time_as_one_that_never_comes(session: aiohttp.ClientSession) -> None:
    async def trickling(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nx")
        await reader.read()

    for serve in (hanging, trickling):
        async with listening(serve) as port:
            assert await trouble(request(session, port, timeout=0.05)) == "no answer within 0.05 s"


async def test_the_probes_ticket(session: aiohttp.ClientSession) -> None:
    """A token for each request; 401 is no answer to it, and without a ticket it says why there is none."""
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        status = b"200 OK" if b"Authorization: Negotiate good\r\n" in heads[-1] else b"401 Unauthorized"
        writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\n\r\nhi")

    async def good() -> str:
        return "Negotiate good"

    async def refused() -> str:
        return "Negotiate refused"

    async with listening(serve) as port:
        asked = request(session, port)
        assert (await replace(asked, authorize=good).fetch()).content() == b"hi"
        assert (
            content_trouble(await replace(asked, authorize=refused).fetch())
            == "the page answers with 401 to the probe's ticket"
        )
        assert content_trouble(await replace(asked, authorize=no_ticket).fetch()) == (
            "the page answers with 401, and the probe has no ticket: no KDC of the realm answers"
        )
        assert (await asked.fetch()).status == 401
    assert [b"Authorization" in head for head in heads] == [True, True, False, False]


async def no_ticket() -> str:
    raise Unreadable("no KDC of the realm answers")


async def test_a_page_that_needs_no_sign_in_is_read_without_a_ticket(session: aiohttp.ClientSession) -> None:
    async with listening(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")) as port:
        assert (await replace(request(session, port), authorize=no_ticket).fetch()).content() == b"hi"


async def test_a_backend_that_wants_a_certificate(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    """The reason is TLS's own, not "operation not permitted"."""
    root = Authority.root()
    files, ca = root.server("127.0.0.1").write(tmp_path), root.write_certificate(tmp_path / "ca.pem")
    tls = ssl.create_default_context(cafile=ca)
    for option, alert in (
        ("-tls1_2", "sslv3 alert handshake failure"),
        ("-tls1_3", "tlsv13 alert certificate required"),
    ):
        with s_server(files, ca, option) as port:
            asked = PageRequest(session, f"https://127.0.0.1:{port}/", ORIGIN, AMPLE, tls)
            assert await trouble(asked) == f"TLS failed: {alert}"
            assert await trouble(replace(asked, question="well?")) == f"TLS failed: {alert}; well?"
