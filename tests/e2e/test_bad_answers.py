"""Answers that are malformed or cut: a 502 where it is not too late, else an end that the client cannot miss.

All rows meet one balancer. The target of a request names the row that the backend plays.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from .backend import Lane
from .client import request
from .message import Cut
from .peers import Peers, one_backend

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"

BAD_HEADS = {
    "garbage": b"\0\1\2\3\r\n\r\n",
    "text": b"220 smtp.test ESMTP\r\n\r\n",
    "TLS": b"\x15\x03\x03\x00\x02\x02\x46",
    "HTTP/0.9": b"<html>hello</html>\r\n\r\n",
    "HTTP/2.0": b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "http/1.1": b"http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "no status": b"HTTP/1.1 OK\r\nContent-Length: 0\r\n\r\n",
    "status of two digits": b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
    "status of four digits": b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
    "status 099": b"HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n",
    "status +20": b"HTTP/1.1 +20 OK\r\nContent-Length: 0\r\n\r\n",
    "two spaces": b"HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n",
    "NUL in the phrase": b"HTTP/1.1 200 O\0K\r\nContent-Length: 0\r\n\r\n",
    "bare LF": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "bare LF in a head": OK + b"X-A: 1\nContent-Length: 0\r\n\r\n",
    "bare CR in a value": OK + b"X-A: 1\rX-B: 2\r\nContent-Length: 0\r\n\r\n",
    "NUL in a value": OK + b"X-A: 1\0\r\nContent-Length: 0\r\n\r\n",
    "folded": OK + b"X-A: 1\r\n 2\r\nContent-Length: 0\r\n\r\n",
    "space before a colon": OK + b"X-A : 1\r\nContent-Length: 0\r\n\r\n",
    "no colon": OK + b"X-A\r\nContent-Length: 0\r\n\r\n",
    "CL and TE": OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "TE and CL": OK + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two CL": OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n123456",
    "two equal CL": OK + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\n12345",
    "CL list": OK + b"Content-Length: 5, 5\r\n\r\n12345",
    "CL -1": OK + b"Content-Length: -1\r\n\r\n",
    "CL +5": OK + b"Content-Length: +5\r\n\r\n12345",
    "CL text": OK + b"Content-Length: five\r\n\r\n12345",
    "CL overflow": OK + b"Content-Length: 18446744073709551621\r\n\r\n12345",
    "TE gzip": OK + b"Transfer-Encoding: gzip\r\n\r\n12345",
    "TE twice": OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "TE in 1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
}
BAD_SIZES = {
    "one long line": OK + b"X-A: " + b"x" * 200_000,
    "many lines": OK + b"X-A: 1\r\n" * 100_000,
}
CUT_HEADS = {"none": b"", "H": b"H", "a line": OK, "two lines": OK + b"Content-Length: 5\r\n"}
CUT_BODIES = {
    "length": OK + b"Content-Length: 10\r\n\r\n12345",
    "length, nothing of it": OK + b"Content-Length: 10\r\n\r\n",
    "chunk": CHUNKED + b"a\r\n12345",
    "between chunks": CHUNKED + b"5\r\n12345\r\n",
    "chunk size": CHUNKED + b"5\r\n12345\r\na",
    "last chunk": CHUNKED + b"5\r\n12345\r\n0\r\n",
    "trailers": CHUNKED + b"5\r\n12345\r\n0\r\nX-A: 1\r\n",
}
BAD_CHUNKS = {
    "size": b"x\r\n",
    "negative": b"-1\r\n",
    "0x": b"0x1\r\nx\r\n0\r\n\r\n",
    "space": b"1 \r\nx\r\n0\r\n\r\n",
    "overflow": b"FFFFFFFFFFFFFFFFF\r\n",
    "no end": b"1\r\nxy\r\n0\r\n\r\n",
    "bare LF": b"1\nx\n0\n\n",
    "long extension": b"1;" + b"x" * 100_000 + b"\r\nx\r\n0\r\n\r\n",
    "long trailer": b"0\r\nX-A: " + b"x" * 100_000 + b"\r\n\r\n",
    "bad trailer": b"0\r\nX A: 1\r\n\r\n",
}
ANSWERS = {
    "bad-head": BAD_HEADS,
    "bad-size": BAD_SIZES,
    "cut-head": CUT_HEADS,
    "cut-body": CUT_BODIES,
    "bad-chunk": {
        name: OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n" + chunk for name, chunk in BAD_CHUNKS.items()
    },
}


async def plays(lane: Lane) -> None:
    """Answers /TABLE/NAME with ANSWERS[TABLE][NAME] and closes.

    With ?reset it resets the lane instead, with ?hold it waits for the balancer to close it.
    """
    if not (seen := await lane.request()):
        return
    path, _, end = seen.target[1:].decode().replace("_", " ").partition("?")
    table, _, name = path.partition("/")
    await lane.send(ANSWERS[table][name])
    if end == "reset":
        lane.reset()
    elif end == "hold":
        await lane.until_closed()


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=[False, True], ids=["plain", "tls"])
async def shared(request: pytest.FixtureRequest) -> AsyncIterator[Peers]:
    async with one_backend(plays, tls=request.param) as peers:
        yield peers


@pytest.fixture
def peers(shared: Peers) -> Peers:
    shared.balancer.forget()  # the kernel gives a client's port, by which records are found, out again
    return shared


def target(table: str, name: str, end: str) -> str:
    return f"/{table}/{name.replace(' ', '_')}?{end}"


async def ended(peers: Peers, name: str) -> str:
    """The reason of the request's only record, once the lane was closed."""
    await peers.backend.until(lambda: not peers.backend.open_lanes)
    [record] = await peers.balancer.accessed(client=name)
    reason: str = record["reason"]
    return reason


@pytest.mark.parametrize("name", BAD_HEADS)
async def test_a_bad_head_is_a_502(peers: Peers, name: str) -> None:
    async with await peers.balancer.connect() as client:
        assert (await client.ask(target("bad-head", name, "hold"))).status == 502
        assert await ended(peers, client.name) == "response_malformed"


@pytest.mark.parametrize("name", BAD_SIZES)
async def test_an_oversized_head_is_a_502(peers: Peers, name: str) -> None:
    async with await peers.balancer.connect() as client:
        assert (await client.ask(target("bad-size", name, "hold"))).status == 502
        assert await ended(peers, client.name) in ("response_too_large", "response_malformed")


@pytest.mark.parametrize("end", ["", "reset"], ids=["close", "reset"])
@pytest.mark.parametrize("name", CUT_HEADS)
async def test_a_lane_that_ends_in_the_head(peers: Peers, name: str, end: str) -> None:
    """A reset may overtake the bytes before it."""
    wanted = {"response_cut_head"} if CUT_HEADS[name] else {"lane_lost"}
    async with await peers.balancer.connect() as client:
        assert (await client.ask(target("cut-head", name, end), "POST", body=b"x")).status == 502
        assert await ended(peers, client.name) in wanted | ({"lane_lost"} if end else set())


@pytest.mark.parametrize("end", ["", "reset"], ids=["close", "reset"])
@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/1.0"])
@pytest.mark.parametrize("name", CUT_BODIES)
async def test_a_lane_that_ends_in_the_body_is_seen(peers: Peers, name: str, version: str, end: str) -> None:
    """Never a clean end: under a length or chunks it is short; to HTTP/1.0, where closing is the end, it is a reset."""
    async with await peers.balancer.connect() as client:
        await client.send(request(target("cut-body", name, end), version=version))
        with pytest.raises(Cut):
            await client.response()
        assert await ended(peers, client.name) == "response_cut_body"


@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/1.0"])
@pytest.mark.parametrize("name", BAD_CHUNKS)
async def test_bad_chunks_are_seen(peers: Peers, name: str, version: str) -> None:
    async with await peers.balancer.connect() as client:
        await client.send(request(target("bad-chunk", name, "hold"), version=version))
        with pytest.raises(Cut):
            await client.response()
        assert await ended(peers, client.name) == "response_bad_body"


async def test_lines_that_end_with_lf_alone_are_served_if_that_is_wanted() -> None:
    """An old connector that its probe finds well too; all that leaves here ends with CR LF."""

    async def old(lane: Lane) -> None:
        while await lane.request():
            await lane.send(b"HTTP/1.1 200 OK\nContent-Length: 002\nA: 1\n\nok")

    written = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nA: 1\r\n\r\nok"
    async with one_backend(old, pool={"bare_lf": "accept", "check": {"kind": "http"}}) as peers:
        client = await peers.balancer.connect()
        for _ in range(2):
            await client.send(request("/x"))
            assert await client.read(len(written)) == written
        await client.close()
