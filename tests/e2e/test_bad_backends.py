"""Backends that break the protocol or die: the client learns the truth, and no answer meets another request."""

from __future__ import annotations

import asyncio

import pytest

from .backend import Lane, Script, answer
from .client import chunked, request
from .conftest import Backends, Balance, Play, Share
from .message import Cut

OK = b"HTTP/1.1 200 OK\r\n"


def says(raw: bytes) -> Script:
    """A script that reads one request, sends `raw` and waits for the balancer to close."""

    async def script(lane: Lane) -> None:
        await lane.request()
        await lane.send(raw)
        await lane.until_closed()

    return script


def says_and_resets(raw: bytes) -> Script:
    """A script that reads one request, sends `raw` and resets the lane."""

    async def script(lane: Lane) -> None:
        await lane.request()
        await lane.send(raw)
        lane.reset()

    return script


async def test_an_answer_before_the_request(play: Play) -> None:
    """It may be taken for the answer of the lane's first request, never for that of another."""

    async def early(lane: Lane) -> None:
        await lane.send(answer(b"early"))
        while seen := await lane.request():
            await lane.send(answer(seen.target))

    balancer, _ = await play(early)
    async with await balancer.connect() as client:
        for number in range(20):
            response = await client.ask(f"/{number}")
            assert response.status == 502 or response.body in (b"early", f"/{number}".encode())


async def test_two_answers_to_one_request(play: Play) -> None:
    async def twice(lane: Lane) -> None:
        while seen := await lane.request():
            await lane.send(answer(seen.target) + answer(b"second of " + seen.target))

    balancer, backend = await play(twice)
    async with await balancer.connect() as client:
        for number in range(20):
            assert (await client.ask(f"/{number}")).body == f"/{number}".encode()
    assert [len(lane.requests) for lane in backend.lanes] == [1] * 20


@pytest.mark.parametrize("junk", [b"x", b"\r\n", answer(b"junk"), b"\0" * 100_000], ids=["x", "crlf", "answer", "many"])
async def test_bytes_after_an_answer_end_the_lane(play: Play, junk: bytes) -> None:
    async def extra(lane: Lane) -> None:
        while await lane.request():
            await lane.send(answer(b"right") + junk)

    balancer, backend = await play(extra)
    async with await balancer.connect() as client:
        for _ in range(5):
            assert (await client.ask()).body == b"right"
    assert [len(lane.requests) for lane in backend.lanes] == [1] * 5


async def test_bytes_on_an_idle_lane_end_it(play: Play) -> None:
    go = asyncio.Event()

    async def later(lane: Lane) -> None:
        await lane.request()
        await lane.send(answer(b"right"))
        await go.wait()
        await lane.send(answer(b"junk"))
        await lane.until_closed()

    balancer, backend = await play(later)
    async with await balancer.connect() as client:
        assert (await client.ask()).body == b"right"
        go.set()
        await backend.until_ended(1)
        assert (await client.ask()).body == b"right"
    assert len(backend.lanes) == 2
    assert (await balancer.status())["ends"]["lane_junk"] >= 1


async def test_a_reset_ends_a_close_delimited_body_visibly(play: Play) -> None:
    balancer, _ = await play(says_and_resets(OK + b"\r\n12345"))
    async with await balancer.connect() as client:
        await client.send(request("/cut"))
        with pytest.raises(Cut):
            await client.response()


async def test_a_101_that_nobody_asked_for(play: Play) -> None:
    raw = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    balancer, _ = await play(says(raw + answer(b"in the tunnel")))
    async with await balancer.connect() as client:
        response = await client.ask("/101")
        assert response.status == 502
    [record] = await balancer.accessed(target="/101")
    assert record["reason"] == "response_unasked"


async def test_a_101_for_another_protocol(play: Play) -> None:
    raw = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    balancer, _ = await play(says(raw))
    response = await balancer.ask("/101", "GET", "Connection: Upgrade", "Upgrade: websocket")
    assert response.status == 502


async def test_endless_interim_answers_are_bounded(play: Play) -> None:
    async def endless(lane: Lane) -> None:
        await lane.request()
        while True:
            await lane.send(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")

    balancer, backend = await play(endless)
    response = await balancer.ask("/endless")
    assert response.status == 502
    await backend.until(lambda: not backend.open_lanes)


async def test_a_backend_that_never_answers(backends: Backends, balance: Balance) -> None:
    """504 after response_timeout, not retried, and the backend is not ejected for one user's request."""

    async def never(lane: Lane) -> None:
        await lane.request()
        await lane.until_closed()

    first, second = await backends(never, never)
    balancer = await balance(first, second, pool={"response_timeout": "300ms"})
    assert (await balancer.ask("/never")).status == 504
    [record] = await balancer.accessed(target="/never")
    assert (record["status"], record["reason"], record["tries"]) == (504, "response_timeout", 1)
    assert len(first.requests) + len(second.requests) == 1
    assert {item["state"] for item in (await balancer.backends()).values()} == {"up"}


async def test_a_backend_that_never_says_continue(share: Share) -> None:
    """A client that waits for its 100 is not to blame: it is the backend's time that runs."""

    async def never(lane: Lane) -> None:
        await lane.until_closed()

    balancer, _ = await share(never, pool={"response_timeout": "300ms"})
    async with await balancer.connect() as client:
        await client.send(request("/waits", "POST", "Content-Length: 4", "Expect: 100-continue"))
        assert (await client.response()).status == 504
    await balancer.accessed(target="/waits", reason="response_timeout", status=504)


async def test_a_backend_that_stops_in_the_body(share: Share) -> None:
    balancer, _ = await share(says(OK + b"Content-Length: 10\r\n\r\n12345"), pool={"response_timeout": "300ms"})
    async with await balancer.connect() as client:
        await client.send(request("/stops"))
        with pytest.raises(Cut):
            await client.response()
    [record] = await balancer.accessed(target="/stops")
    assert record["reason"] == "response_stalled"


async def test_a_body_for_head_is_never_an_answer(play: Play) -> None:
    """The body that a wrong backend sends after HEAD, 204 or 304 is junk on its lane."""

    async def wrong(lane: Lane) -> None:
        while seen := await lane.request():
            body = answer(b"smuggled")
            status = {b"/204": "204 No Content", b"/304": "304 Not Modified"}.get(seen.target, "200 OK")
            await lane.send(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

    balancer, backend = await play(wrong)
    async with await balancer.connect() as client:
        for target, method in (("/", "HEAD"), ("/204", "GET"), ("/304", "GET")) * 3:
            response = await client.ask(target, method)
            assert response.status in (200, 204, 304, 502)
            assert response.body == b"" or response.status == 502
            if response.closes:
                break
    assert [len(lane.requests) for lane in backend.lanes] == [1] * len(backend.lanes)


async def test_an_error_of_the_backend_is_passed_on(play: Play) -> None:
    async def fails(lane: Lane) -> None:
        while seen := await lane.request():
            await lane.send(answer(b"mine", status=f"{seen.target[1:].decode()} Broken"))

    balancer, _ = await play(fails)
    async with await balancer.connect() as client:
        for status in (500, 502, 503, 504):
            response = await client.ask(f"/{status}")
            assert (response.status, response.body) == (status, b"mine")


@pytest.mark.parametrize("raw", [answer(b"whole"), OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunked([b"whole"])])
@pytest.mark.parametrize("reset", [False, True], ids=["close", "reset"])
async def test_the_end_of_a_lane_after_an_answer_is_no_harm(play: Play, reset: bool, raw: bytes) -> None:
    async def script(lane: Lane) -> None:
        await lane.request()
        await lane.send(raw)
        if reset:
            lane.reset()

    balancer, backend = await play(script)
    async with await balancer.connect() as client:
        for number in range(1, 21):
            assert (await client.ask()).body == b"whole"
            await backend.until_ended(number)
