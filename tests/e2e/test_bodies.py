"""Bodies stream both ways under every framing of RFC 9112 section 6."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from collections.abc import Iterator

import pytest

from .backend import Lane, answer
from .client import Client, chunked, request
from .conftest import Backends, Balance, Play
from .message import Response, pieces

BIG = 50 << 20
PARTS = [b"first", b"x" * 70_000, b"\r\n0\r\n\r\n", b"last"]


def generated(size: int) -> Iterator[bytes]:
    """`size` bytes in which every block differs, in pieces of 64 KiB."""
    for number in itertools.count():
        if size <= 0:
            return
        yield hashlib.sha256(b"%d" % number).digest()[: min(32, size)] * (2048 if size >= 65536 else 1)
        size -= 65536 if size >= 65536 else min(32, size)


def digest_of(size: int) -> str:
    digest = hashlib.sha256()
    for piece in generated(size):
        digest.update(piece)
    return digest.hexdigest()


async def echo(lane: Lane) -> None:
    """Answers every request with its own body, its framing and its trailers."""
    while seen := await lane.request():
        if seen.all("transfer-encoding"):
            trailers = [f"{name.decode()}: {value.decode()}" for name, value in seen.trailers]
            await lane.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked([seen.body], *trailers))
        else:
            await lane.send(answer(seen.body))


@pytest.mark.parametrize("size", [0, 1, 4095, 65_536, 65_537, 1_000_000])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_bodies_with_a_length(play: Play, tls: bool, size: int) -> None:
    balancer, backend = await play(echo, tls=tls)
    body = b"".join(generated(size))
    async with await balancer.connect() as client:
        for _ in range(2):
            response = await client.ask("/", "POST", body=body)
            assert response.body == body
            assert response.get("content-length") == b"%d" % size
    assert len(backend.lanes) == 1


async def test_chunked_bodies_and_trailers_both_ways(play: Play) -> None:
    balancer, backend = await play(echo)
    async with await balancer.connect() as client:
        for _ in range(2):
            await client.send(
                request("/", "POST", "Transfer-Encoding: chunked", "TE: trailers", "Trailer: X-Sum"),
                chunked(PARTS, "X-Sum: 1", "X-Sum: 2"),
            )
            response = await client.response()
            assert response.body == b"".join(PARTS)
            assert response.trailers == [(b"X-Sum", b"1"), (b"X-Sum", b"2")]
    assert backend.requests[0].trailers == [(b"X-Sum", b"1"), (b"X-Sum", b"2")]
    assert len(backend.lanes) == 1


async def test_chunks_in_pieces_of_one_byte(play: Play) -> None:
    async def one_by_one(lane: Lane) -> None:
        while seen := await lane.request():
            reply = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked([seen.body], "X-End: yes")
            await lane.send(*(reply[at : at + 1] for at in range(len(reply))))

    balancer, _ = await play(one_by_one)
    body = chunked([b"ab", b"c" * 17], "X-Trailer: t")
    async with await balancer.connect() as client:
        await client.send(request("/", "POST", "Transfer-Encoding: chunked"))
        await client.send(*(body[at : at + 1] for at in range(len(body))))
        response = await client.response()
        assert (response.body, response.trailers) == (b"ab" + b"c" * 17, [(b"X-End", b"yes")])


@pytest.mark.parametrize("extension", [b";x", b";x=y", b';x="quoted;\\"y"', b" ; x = y"])
async def test_chunk_extensions_end_here(play: Play, extension: bytes) -> None:
    """RFC 9112 section 7.1.1: unknown extensions are ignored; they are hop-by-hop, so nobody else sees them."""
    balancer, _ = await play(echo)
    async with await balancer.connect() as client:
        await client.send(request("/", "POST", "Transfer-Encoding: chunked"), b"3%b\r\nabc\r\n0\r\n\r\n" % extension)
        response = await client.response()
        if b" " in extension:  # bad whitespace: a recipient may parse it, a strict one refuses it
            assert response.status in (200, 400)
        else:
            assert (response.status, response.body) == (200, b"abc")


@pytest.mark.parametrize("framing", ["Content-Length: 5", "Transfer-Encoding: chunked"])
async def test_head_has_no_body(play: Play, framing: str) -> None:
    async def heads(lane: Lane) -> None:
        while await lane.request():
            await lane.send(f"HTTP/1.1 200 OK\r\n{framing}\r\nX-Kept: yes\r\n\r\n".encode())

    balancer, backend = await play(heads)
    async with await balancer.connect() as client:
        for _ in range(3):
            response = await client.ask("/", "HEAD")
            assert (response.status, response.get("x-kept")) == (200, b"yes")
        assert response.get("content-length") in (None, b"5")
    assert len(backend.lanes) == 1


@pytest.mark.parametrize("line", ["", "Content-Length: 5\r\n"])
@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
async def test_204_and_304_have_no_body(play: Play, status: str, line: str) -> None:
    async def bodiless(lane: Lane) -> None:
        while await lane.request():
            await lane.send(f"HTTP/1.1 {status}\r\n{line if status.startswith('304') else ''}\r\n".encode())

    balancer, backend = await play(bodiless)
    async with await balancer.connect() as client:
        for _ in range(3):
            assert (await client.ask()).status == int(status[:3])
    assert len(backend.lanes) == 1


async def early_hints(lane: Lane) -> None:
    """Sends a 103 (RFC 8297) before each answer."""
    while await lane.request():
        await lane.send(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n", answer(b"final"))


async def test_interim_answers_are_passed_on(play: Play) -> None:
    balancer, _ = await play(early_hints)
    async with await balancer.connect() as client:
        for _ in range(2):
            response = await client.ask()
            assert [(one.status, one.get("link")) for one in response.interim] == [(103, b"</style.css>")]
            assert (response.status, response.body) == (200, b"final")


async def test_interim_answers_are_not_passed_to_http_1_0(play: Play) -> None:
    balancer, _ = await play(early_hints)
    async with await balancer.connect() as client:
        await client.send(request(version="HTTP/1.0"))
        response = await client.response()
        assert (response.status, response.body, response.interim) == (200, b"final", [])


async def test_expect_100_continue(play: Play) -> None:
    async def continues(lane: Lane) -> None:
        while seen := await lane.head():
            assert seen.tokens("expect") == [b"100-continue"]
            await lane.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            await lane.body(seen)
            await lane.send(answer(seen.body))

    balancer, _ = await play(continues)
    async with await balancer.connect() as client:
        for _ in range(2):
            await client.send(request("/", "POST", "Expect: 100-continue", "Content-Length: 4"))
            assert (await client.head()).status == 100
            await client.send(b"body")
            response = await client.response("POST")
            assert (response.status, response.body) == (200, b"body")


async def test_expect_100_continue_refused(play: Play) -> None:
    async def refuses(lane: Lane) -> None:
        await lane.head()
        await lane.send(answer(b"no", status="413 Content Too Large"))
        await lane.until_closed()

    balancer, backend = await play(refuses)
    async with await balancer.connect() as client:
        await client.send(request("/", "POST", "Expect: 100-continue", "Content-Length: 4"))
        assert (await client.response("POST")).status == 413
    assert backend.lanes[0].requests[0].body == b""


async def test_another_expectation_is_refused(play: Play) -> None:
    balancer, backend = await play()
    assert (await balancer.ask("/", "POST", "Expect: 200-ok", body=b"x")).status == 417
    assert not backend.requests


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_an_answer_may_come_before_the_body_has_been_sent(play: Play, tls: bool) -> None:
    async def hasty(lane: Lane) -> None:
        seen = await lane.head()
        assert seen is not None
        await lane.reader.readexactly(1000)
        await lane.send(answer(b"enough"))
        await lane.until_closed()

    balancer, _ = await play(hasty, tls=tls)
    async with await balancer.connect() as client:
        await client.send(request("/", "POST", "Content-Length: 10000000"), b"x" * 1000)
        response = await client.response("POST")
        assert (response.status, response.body) == (200, b"enough")


async def test_an_answer_that_ends_with_the_connection(play: Play) -> None:
    body = b"".join(generated(300_000))

    async def until_close(lane: Lane) -> None:
        await lane.request()
        await lane.send(b"HTTP/1.1 200 OK\r\nX-Kept: yes\r\n\r\n", body)

    balancer, backend = await play(until_close)
    for _ in range(2):
        assert (await balancer.ask()).body == body
    async with await balancer.connect() as client:
        await client.send(request(version="HTTP/1.0"))
        response = await client.response()
        assert (response.body, response.get("x-kept")) == (body, b"yes")
        await client.closed()
    assert len(backend.lanes) == 3


async def test_chunks_are_taken_apart_for_http_1_0(play: Play) -> None:
    async def chunks(lane: Lane) -> None:
        while await lane.request():
            await lane.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", chunked(PARTS, "X-Sum: 1"))

    balancer, _ = await play(chunks)
    async with await balancer.connect() as client:
        await client.send(request("/", "GET", "Connection: keep-alive", version="HTTP/1.0"))
        response = await client.response()
        assert response.body == b"".join(PARTS)
        assert not response.all("transfer-encoding")
        await client.closed()


async def hashes(lane: Lane) -> None:
    """Answers a body's sha256, keeping none of it."""
    while seen := await lane.head():
        digest = hashlib.sha256()
        async for piece in pieces(lane.reader, seen, to_the_end=False):
            digest.update(piece)
        await lane.send(answer(digest.hexdigest().encode()))


async def upload(client: Client, parts: Iterator[bytes], framing: str) -> Response:
    """Send `parts` under `framing` and read the answer."""
    await client.send(request("/", "PUT", framing))
    for part in parts:
        await client.send(b"%x\r\n%b\r\n" % (len(part), part) if "chunked" in framing else part)
    if "chunked" in framing:
        await client.send(b"0\r\n\r\n")
    return await client.response("PUT")


@pytest.mark.parametrize("framing", [f"Content-Length: {BIG}", "Transfer-Encoding: chunked"], ids=["length", "chunked"])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_big_bodies_arrive_unchanged(backends: Backends, balance: Balance, tls: bool, framing: str) -> None:
    async def big(lane: Lane) -> None:
        while await lane.request():
            await lane.send(f"HTTP/1.1 200 OK\r\n{framing}\r\n\r\n".encode())
            for piece in generated(BIG):
                await lane.send(b"%x\r\n%b\r\n" % (len(piece), piece) if "chunked" in framing else piece)
            if "chunked" in framing:
                await lane.send(b"0\r\n\r\n")

    up, down = await backends(hashes, big)
    balancer = await balance(up, down, tls=tls)
    wanted = digest_of(BIG)
    async with await balancer.connect() as first, await balancer.connect() as second:
        response = await upload(first, generated(BIG), framing)
        assert response.body == wanted.encode()
        await second.send(request())
        async with asyncio.timeout(60):
            assert (await second.digest())[1:] == (BIG, wanted)
