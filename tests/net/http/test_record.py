"""The access log's record of a request."""

from __future__ import annotations

import pytest

from tests.net.conftest import Build
from tests.net.dialogue import answer, request
from tests.net.http.client.visits import ask
from tests.net.listener_fixture import answered


async def test_the_record_of_a_request(front: Build) -> None:
    home = front()
    client = await home.connect()
    host, port = client.sock.getsockname()
    sent = request(b"POST /a?b", b"User-Agent: UA", b"Content-Length: 5", body=b"hello")
    await client.send(sent)
    lane = await home.places[0].lane()
    await lane.head()
    await lane.sees(b"hello")
    await lane.send(answer(b"ok"))
    await client.sees(answer(b"ok"))
    await ask(client, lane)
    one, two = home.records
    assert one[1:17] == (
        "login", f"{host}:{port}", "POST", "/a?b", "a.test", "HTTP/1.1", 200, len(sent), len(answer(b"ok")),
        "UA", "", "c1", "shared", False, 1, one.connect_ms,
    )  # fmt: skip
    assert 0 <= one.connect_ms <= one.first_byte_ms <= one.total_ms
    assert (one.reason, two.reason, two.reused) == ("done", "done", True)
    assert one.time <= two.time


async def test_the_record_of_a_refusal(front: Build) -> None:
    home = front()
    client = await home.connect()
    await client.send(b"GET / HTTP/1.1\r\nHost: b.example\r\n\r\n")
    await client.sees(b"HTTP/1.1 421 ")
    [record] = home.records
    assert (record.backend, record.lane, record.tries, record.reused) == ("", "", 0, False)
    assert (record.connect_ms, record.first_byte_ms) == (-1, -1)
    assert (record.status, record.reason) == (421, "misdirected")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"POST /x HTTP/1.1", ("POST", "/x", "HTTP/1.1")),
        (b"POST /x HTTP/1.0", ("POST", "/x", "HTTP/1.0")),
        (b"POST /x HTTP/1.7", ("POST", "/x", "HTTP/1.7")),
        (b"POST /x HTTP/2.0", ("POST", "", "")),
        (b"\0", ("", "", "")),
    ],
)
async def test_the_record_of_a_head_that_breaks_a_rule(front: Build, line: bytes, told: tuple[str, ...]) -> None:
    """What could be read of it, and nothing of the request before."""
    home = front()
    client = await home.connect()
    await answered(home, client)
    await client.send(line + b"\r\nHost: a.test\r\nContent-Length: x\r\n\r\n")
    assert b"\r\nConnection: close\r\n" in await client.head()
    record = home.records[1]
    assert (record.method, record.target, record.protocol) == told


async def test_a_refused_request_is_not_logged_with_the_backend_of_the_one_before(front: Build) -> None:
    home = front()
    client = await home.connect()
    await answered(home, client)
    await client.send(request(b"GET /denied"))
    assert (await client.head()).startswith(b"HTTP/1.1 404 ")
    record = home.records[1]
    assert (record.reason, record.backend, record.lane, record.tries) == ("denied_path", "", "", 0)
