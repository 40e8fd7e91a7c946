"""Requests that are ambiguous, malformed or too large: refused, the connection closed, no byte to a backend.

Each row is (what is sent, the status, the label of the reason in the access log). All rows meet one balancer, which
must answer an ordinary request after each of them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from .client import chunked, request
from .message import Response
from .peers import Peers, one_backend
from .reloads import comes_true

MAX_HEADER = 16 * 1024
MAX_TARGET = 4 * 1024


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shared() -> AsyncIterator[Peers]:
    limits = {"max_header_size": "16KiB", "max_target_size": "4KiB", "max_header_lines": 50}
    async with one_backend(listener=limits) as peers:
        yield peers


@pytest.fixture
def peers(shared: Peers) -> Peers:
    shared.balancer.forget()  # the kernel gives a client's port, by which records are found, out again
    return shared


async def refused(peers: Peers, raw: bytes) -> tuple[Response, str]:
    """Send `raw`, read the answer and the end of the connection; returns the answer and the logged reason."""
    async with await peers.balancer.connect() as client:
        await client.send(raw)
        response = await client.response()
        await client.closed()
        [record] = await peers.balancer.accessed(client=client.name)
    assert response.closes
    assert record["status"] == response.status
    return response, record["reason"]


async def still_serves(peers: Peers) -> None:
    assert (await peers.balancer.ask("/after")).status == 200


def lines(*extra: str) -> bytes:
    """A POST with these header lines."""
    return request("/x", "POST", *extra)


CL, TE = "Content-Length: 5", "Transfer-Encoding: chunked"
FRAMING = {
    "CL and TE": (lines(CL, TE) + b"0\r\n\r\n", "length_and_chunked"),
    "TE and CL": (lines(TE, CL) + b"0\r\n\r\n", "length_and_chunked"),
    "CL 0 and TE": (lines("Content-Length: 0", TE) + b"0\r\n\r\n", "length_and_chunked"),
    "two equal CL": (lines(CL, CL) + b"12345", "bad_length"),
    "two CL": (lines(CL, "Content-Length: 6") + b"123456", "bad_length"),
    "CL list": (lines("Content-Length: 5, 5") + b"12345", "bad_length"),
    "CL +5": (lines("Content-Length: +5") + b"12345", "bad_length"),
    "CL -5": (lines("Content-Length: -5") + b"12345", "bad_length"),
    "CL 0x5": (lines("Content-Length: 0x5") + b"12345", "bad_length"),
    "CL  5,5": (lines("Content-Length:  5,5") + b"12345", "bad_length"),
    "CL 5 5": (lines("Content-Length: 5 5") + b"12345", "bad_length"),
    "CL 5_0": (lines("Content-Length: 5_0") + b"12345", "bad_length"),
    "CL 5.0": (lines("Content-Length: 5.0") + b"12345", "bad_length"),
    "CL empty": (lines("Content-Length:"), "bad_length"),
    "CL text": (lines("Content-Length: five") + b"12345", "bad_length"),
    "CL quoted": (lines('Content-Length: "5"') + b"12345", "bad_length"),
    "CL arabic digit": (lines("Content-Length: \xd9\xa5") + b"12345", "bad_length"),
    "CL overflow": (lines("Content-Length: 18446744073709551621") + b"12345", "bad_length"),
    "CL 2^63": (lines("Content-Length: 9223372036854775808") + b"12345", "bad_length"),
    "CL in another case, twice": (lines(CL, "cOnTeNt-LeNgTh: 5") + b"12345", "bad_length"),
    "TE twice": (lines(TE, TE) + b"0\r\n\r\n", "bad_transfer_encoding"),
    "TE chunked, chunked": (lines("Transfer-Encoding: chunked, chunked") + b"0\r\n\r\n", "bad_transfer_encoding"),
    "TE gzip, chunked": (lines("Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n", "bad_transfer_encoding"),
    "TE chunked, identity": (lines("Transfer-Encoding: chunked, identity") + b"0\r\n\r\n", "bad_transfer_encoding"),
    "TE identity": (lines("Transfer-Encoding: identity") + b"12345", "bad_transfer_encoding"),
    "TE identity and CL": (lines("Transfer-Encoding: identity", CL) + b"12345", "bad_transfer_encoding"),
    "TE gzip": (lines("Transfer-Encoding: gzip"), "bad_transfer_encoding"),
    "TE xchunked": (lines("Transfer-Encoding: xchunked") + b"0\r\n\r\n", "bad_transfer_encoding"),
    "TE chunkedx": (lines("Transfer-Encoding: chunkedx") + b"0\r\n\r\n", "bad_transfer_encoding"),
    "TE comma": (lines("Transfer-Encoding: chunked,") + b"0\r\n\r\n", "bad_transfer_encoding"),
    "TE parameter": (lines("Transfer-Encoding: chunked;q=1") + b"0\r\n\r\n", "bad_transfer_encoding"),
    "TE quoted": (lines('Transfer-Encoding: "chunked"') + b"0\r\n\r\n", "bad_transfer_encoding"),
    "TE empty": (lines("Transfer-Encoding:"), "bad_transfer_encoding"),
    "TE vertical tab": (lines("Transfer-Encoding: \x0bchunked") + b"0\r\n\r\n", "bad_field_value"),
    "TE no-break space": (lines("Transfer-Encoding: chunked\xa0") + b"0\r\n\r\n", "bad_transfer_encoding"),
    "TE space before colon": (lines("Transfer-Encoding : chunked") + b"0\r\n\r\n", "bad_field_name"),
    "TE folded": (lines("Transfer-Encoding:\r\n chunked") + b"0\r\n\r\n", "bad_transfer_encoding"),
    "CL folded": (lines("Content-Length:\r\n 5") + b"12345", "bad_length"),
    "TE in 1.0": (request("/x", "POST", TE, version="HTTP/1.0") + b"0\r\n\r\n", "bad_transfer_encoding"),
    "TE and CL in 1.0": (request("/x", "POST", CL, TE, version="HTTP/1.0") + b"0\r\n\r\n", "bad_transfer_encoding"),
}


@pytest.mark.parametrize("name", FRAMING)
async def test_ambiguous_framing(peers: Peers, name: str) -> None:
    raw, wanted = FRAMING[name]
    seen = len(peers.backend.requests)
    response, reason = await refused(peers, raw)
    assert response.status == 400
    assert len(peers.backend.requests) == seen
    if "folded" not in name:  # either rule may be the first to be broken
        assert reason == wanted
    await still_serves(peers)


def head(*parts: str) -> bytes:
    """A GET whose bytes after the request line are exactly these."""
    return ("GET /x HTTP/1.1\r\n" + "".join(parts)).encode("latin-1")


HOST_LINE = "Host: login.test\r\n"
HEADS = {
    "folded": (head(HOST_LINE, "X-A: 1\r\n 2\r\n\r\n"), 400, "obs_fold"),
    "folded with a tab": (head(HOST_LINE, "X-A: 1\r\n\t2\r\n\r\n"), 400, "obs_fold"),
    "space before the first name": (head(" X-A: 1\r\n", HOST_LINE, "\r\n"), 400, "obs_fold"),
    "space before the colon": (head(HOST_LINE, "X-A : 1\r\n\r\n"), 400, "bad_field_name"),
    "tab before the colon": (head(HOST_LINE, "X-A\t: 1\r\n\r\n"), 400, "bad_field_name"),
    "no colon": (head(HOST_LINE, "X-A\r\n\r\n"), 400, "bad_field_name"),
    "no name": (head(HOST_LINE, ": 1\r\n\r\n"), 400, "bad_field_name"),
    "space in a name": (head(HOST_LINE, "X A: 1\r\n\r\n"), 400, "bad_field_name"),
    "quote in a name": (head(HOST_LINE, 'X"A: 1\r\n\r\n'), 400, "bad_field_name"),
    "NUL in a name": (head(HOST_LINE, "X\0A: 1\r\n\r\n"), 400, "bad_field_name"),
    "control in a name": (head(HOST_LINE, "X\x01A: 1\r\n\r\n"), 400, "bad_field_name"),
    "DEL in a name": (head(HOST_LINE, "X\x7fA: 1\r\n\r\n"), 400, "bad_field_name"),
    "latin-1 in a name": (head(HOST_LINE, "X\xe9: 1\r\n\r\n"), 400, "bad_field_name"),
    "NUL in a value": (head(HOST_LINE, "X-A: 1\x002\r\n\r\n"), 400, "bad_field_value"),
    "control in a value": (head(HOST_LINE, "X-A: 1\x012\r\n\r\n"), 400, "bad_field_value"),
    "ESC in a value": (head(HOST_LINE, "X-A: 1\x1b[2J\r\n\r\n"), 400, "bad_field_value"),
    "DEL in a value": (head(HOST_LINE, "X-A: 1\x7f2\r\n\r\n"), 400, "bad_field_value"),
    "bare CR in a value": (head(HOST_LINE, "X-A: 1\rX-B: 2\r\n\r\n"), 400, "bad_field_value"),
    "CR CR LF": (head(HOST_LINE, "X-A: 1\r\r\n\r\n"), 400, "bad_field_value"),
    "bare LF after a line": (head(HOST_LINE, "X-A: 1\nX-B: 2\r\n\r\n"), 400, "bare_lf"),
    "bare LF at the end": (head(HOST_LINE, "X-A: 1\r\n\n"), 400, "bare_lf"),
    "bare LF everywhere": (b"GET /x HTTP/1.1\nHost: login.test\n\n", 400, "bare_lf"),
    "bare LF after the request line": (b"GET /x HTTP/1.1\nHost: login.test\r\n\r\n", 400, "bare_lf"),
    "no Host": (head("X-A: 1\r\n\r\n"), 400, "bad_host"),
    "two Hosts": (head(HOST_LINE, HOST_LINE, "\r\n"), 400, "bad_host"),
    "two different Hosts": (head(HOST_LINE, "Host: other.test\r\n\r\n"), 400, "bad_host"),
    "empty Host": (head("Host:\r\n\r\n"), 400, "bad_host"),
    "Host list": (head("Host: login.test, other.test\r\n\r\n"), 400, "bad_host"),
    "Host with a slash": (head("Host: login.test/x\r\n\r\n"), 400, "bad_host"),
    "Host with user": (head("Host: user@login.test\r\n\r\n"), 400, "bad_host"),
    "Host with a space": (head("Host: login.test other\r\n\r\n"), 400, "bad_host"),
    "Host with a quote": (head('Host: login.test"\r\n\r\n'), 400, "bad_host"),
    "Host not ASCII": (head("Host: l\xf6gin.test\r\n\r\n"), 400, "bad_host"),
    "Host with markup": (head("Host: <b>login.test\r\n\r\n"), 400, "bad_host"),
    "absolute form, other Host": (request("http://other.test/x"), 400, "bad_host"),
    "absolute form, other port": (request("http://login.test:1/x", host="login.test:2"), 400, "bad_host"),
    "absolute form with user": (request("http://u@login.test/x"), 400, None),
    "absolute form without Host": (request("http://login.test/x", host=None), 400, "bad_host"),
    "two Authorizations": (
        request("/", "GET", "Authorization: Basic YTpi", "authorization: Negotiate YII="),
        400,
        "two_authorizations",
    ),
}
LINES = {
    "garbage": (b"\x00\x01\x02\x03\r\n\r\n", 400, "not_http"),
    "TLS on a plain port": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64, 400, "not_http"),
    "PROXY header": (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" + request(), 400, None),
    "HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, None),
    "HTTP/0.9": (b"GET /x\r\n", 400, "bad_request_line"),
    "HTTP/0.9 with a head": (b"GET /x\r\nHost: login.test\r\n\r\n", 400, "bad_request_line"),
    "HTTP/3.1": (request(version="HTTP/3.1"), 505, "bad_version"),
    "HTTP/2.0": (request(version="HTTP/2.0"), 505, "bad_version"),
    "HTTP/0.9 named": (request(version="HTTP/0.9"), 505, "bad_version"),
    "HTTP/1.10": (request(version="HTTP/1.10"), 400, None),
    "HTTP/1": (request(version="HTTP/1"), 400, None),
    "http/1.1": (request(version="http/1.1"), 400, None),
    "HTTPS/1.1": (request(version="HTTPS/1.1"), 400, None),
    "HTTP/1.1 and a space": (request(version="HTTP/1.1 "), 400, None),
    "HTTP/1.1 and a tab": (request(version="HTTP/1.1\t"), 400, None),
    "no method": (b" /x HTTP/1.1\r\nHost: login.test\r\n\r\n", 400, "not_http"),
    "bad method": (request("/x", "GE(T"), 400, "bad_method"),
    "method with a NUL": (request("/x", "GE\0T"), 400, "bad_method"),
    "method with a colon": (request("/x", "Host:"), 400, "bad_method"),
    "tab after the method": (b"GET\t/x HTTP/1.1\r\nHost: login.test\r\n\r\n", 400, None),
    "two spaces": (b"GET  /x HTTP/1.1\r\nHost: login.test\r\n\r\n", 400, None),
    "two spaces before the version": (b"GET /x  HTTP/1.1\r\nHost: login.test\r\n\r\n", 400, None),
    "no target": (b"GET HTTP/1.1\r\nHost: login.test\r\n\r\n", 400, None),
    "space in the target": (request("/a b"), 400, None),
    "fragment": (request("/x#y"), 400, "bad_target"),
    "not ASCII": (request("/caf\xe9"), 400, "bad_target"),
    "NUL in the target": (request("/x\0y"), 400, "bad_target"),
    "DEL in the target": (request("/x\x7fy"), 400, "bad_target"),
    "CR in the target": (request("/x\ry"), 400, None),
    "tab in the target": (request("/x\ty"), 400, "bad_target"),
    "no slash": (request("x"), 400, "bad_target"),
    "asterisk for GET": (request("*"), 400, "bad_target"),
    "another scheme": (request("ftp://login.test/x"), 400, "bad_target"),
    "authority form": (request("login.test:80"), 400, "bad_target"),
    "target over the limit": (request("/" + "x" * MAX_TARGET), 414, "target_too_long"),
    "target without an end": (b"GET /" + b"x" * (2 * MAX_TARGET), 414, "target_too_long"),
    "head over the limit": (request("/x", "GET", "X-A: " + "x" * MAX_HEADER), 431, "head_too_large"),
    "head without an end": (request("/x")[:-2] + b"X-A: " + b"x" * MAX_HEADER, 431, "head_too_large"),
    "many lines over the limit": (request("/x", "GET", *["X: " + "y" * 900] * 40), 431, "head_too_large"),
    "too many lines": (request("/x", "GET", *["X-A: 1"] * 50), 431, "too_many_fields"),
    "too many Connection names": (request("/x", "GET", "Connection: " + ", ".join(["a"] * 2000)), 400, None),
}


@pytest.mark.parametrize("name", [*HEADS, *LINES])
async def test_bad_heads(peers: Peers, name: str) -> None:
    raw, status, wanted = (HEADS | LINES)[name]
    seen = len(peers.backend.requests)
    response, reason = await refused(peers, raw)
    assert response.status == status
    assert len(peers.backend.requests) == seen
    assert wanted in (None, reason)
    await still_serves(peers)


@pytest.mark.parametrize("name", ["two Hosts", "bare LF everywhere", "head over the limit", "TE and CL"])
async def test_what_follows_a_refused_head_is_never_a_request(peers: Peers, name: str) -> None:
    raw = {**{key: value[0] for key, value in (HEADS | LINES).items()}, "TE and CL": FRAMING["TE and CL"][0]}[name]
    await refused(peers, raw + request("/smuggled"))
    assert not [seen for seen in peers.backend.requests if seen.target == b"/smuggled"]


async def test_a_bad_request_after_a_good_one(peers: Peers) -> None:
    """The good one's answer comes first, whole; then the refusal."""
    async with await peers.balancer.connect() as client:
        await client.send(request("/good") + HEADS["two Hosts"][0] + request("/smuggled"))
        assert (await client.response()).body == b"c1"
        assert (await client.response()).status == 400
        await client.closed()
    assert not [seen for seen in peers.backend.requests if seen.target == b"/smuggled"]


async def test_refusals_leave_nothing_behind(peers: Peers) -> None:
    """The same refusals again and again: neither memory nor descriptors grow."""
    bad = [*(raw for raw, _ in FRAMING.values()), *(raw for raw, _, _ in (HEADS | LINES).values())]
    for raw in bad * 5:
        await _send_and_leave(peers, raw)
    memory, descriptors = peers.balancer.memory(), peers.balancer.descriptors()
    for raw in bad * 20:
        await _send_and_leave(peers, raw)
    assert peers.balancer.memory() - memory < 1 << 20
    await comes_true(lambda: peers.balancer.descriptors() <= descriptors)
    await still_serves(peers)


async def _send_and_leave(peers: Peers, raw: bytes) -> None:
    async with await peers.balancer.connect() as client:
        await client.send(raw)
        assert (await client.response()).status >= 400


async def test_431_names_the_key(peers: Peers) -> None:
    response, _ = await refused(peers, request("/x", "GET", "Authorization: Negotiate " + "x" * MAX_HEADER))
    assert response.status == 431
    assert b"max_header_size" in response.body


async def test_an_error_repeats_nothing_of_the_request(peers: Peers) -> None:
    response, _ = await refused(peers, request("/<script>alert(1)</script>#", "GET", "Cookie: secret"))
    assert b"script" not in response.raw + response.body
    assert b"secret" not in response.raw + response.body


CHUNKS = {
    "-1": b"-1\r\n\r\n",
    "+1": b"+1\r\nx\r\n0\r\n\r\n",
    "0x1": b"0x1\r\nx\r\n0\r\n\r\n",
    "trailing space": b"1 \r\nx\r\n0\r\n\r\n",
    "leading space": b" 1\r\nx\r\n0\r\n\r\n",
    "tab": b"1\t\r\nx\r\n0\r\n\r\n",
    "empty size": b"\r\nx\r\n0\r\n\r\n",
    "only an extension": b";x=y\r\n0\r\n\r\n",
    "not hex": b"g\r\nx\r\n0\r\n\r\n",
    "overflow": b"FFFFFFFFFFFFFFFFF\r\nx\r\n0\r\n\r\n",
    "2^64 + 1": b"10000000000000001\r\nx\r\n0\r\n\r\n",
    "bare LF after the size": b"1\nx\r\n0\r\n\r\n",
    "bare LF after the data": b"1\r\nx\n0\r\n\r\n",
    "CR only after the size": b"1\rx\r\n0\r\n\r\n",
    "data longer than its size": b"1\r\nxy\r\n0\r\n\r\n",
    "data without CR LF": b"1\r\nx0\r\n\r\n",
    "underscore": b"1_0\r\n" + b"x" * 16 + b"\r\n0\r\n\r\n",
    "NUL in an extension": b"1;a\0b\r\nx\r\n0\r\n\r\n",
    "bare LF in an extension": b"1;a\nb\r\nx\r\n0\r\n\r\n",
    "bare CR in an extension": b"1;a\rb\r\nx\r\n0\r\n\r\n",
    "a long extension": b"1;" + b"a" * 100_000 + b"\r\nx\r\n0\r\n\r\n",
    "many extensions": b"1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\nx\r\n" * 20_000 + b"0\r\n\r\n",
    "endless zeros": b"0" * 100_000 + b"1\r\nx\r\n0\r\n\r\n",
    "a long trailer": chunked([b"x"], "X-A: " + "a" * 100_000),
    "many trailers": chunked([b"x"], *["X-A: 1"] * 20_000),
    "folded trailer": chunked([b"x"], "X-A: 1", " 2"),
    "trailer without a colon": chunked([b"x"], "X-A"),
    "space before a trailer's colon": chunked([b"x"], "X-A : 1"),
    "NUL in a trailer": chunked([b"x"], "X-A: \x00"),
    "bare LF in the trailers": b"1\r\nx\r\n0\r\nX-A: 1\n\r\n",
    "bare LF at the end": b"1\r\nx\r\n0\r\n\n",
}


@pytest.mark.parametrize("name", CHUNKS)
async def test_bad_chunks(peers: Peers, name: str) -> None:
    """The head may have gone to the backend by then; the request is never completed there."""
    complete = len(peers.backend.complete)
    async with await peers.balancer.connect() as client:
        await client.send(request("/chunks", "POST", TE))
        await client.send(CHUNKS[name] + request("/smuggled"))
        response = await client.response("POST")
        await client.closed()
        [record] = await peers.balancer.accessed(client=client.name)
    assert response.status == 400
    assert record["reason"] in ("bad_chunk", "bad_trailer")
    assert [seen.target for seen in peers.backend.complete[complete:]] == []
    assert not [seen for seen in peers.backend.requests if seen.target == b"/smuggled"]
    await still_serves(peers)


async def test_trailers_cannot_frame_route_or_identify(peers: Peers) -> None:
    """RFC 9110 section 6.5.1: they are dropped, or the request is refused."""
    forbidden = ("Content-Length: 1", "Host: other.test", "Authorization: Basic eDp4", "X-Forwarded-For: 6.6.6.6")
    async with await peers.balancer.connect() as client:
        await client.send(request("/late", "POST", TE), chunked([b"x"], *forbidden, "Transfer-Encoding: gzip"))
        status = (await client.response("POST")).status
    assert status in (200, 400)
    for seen in peers.backend.complete:
        if seen.target == b"/late":
            assert seen.trailers == []
