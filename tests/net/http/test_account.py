"""What a request that has ended is to its backend."""

from __future__ import annotations

import logging

import pytest

from lbproxy.net.http.account import LARGE_HEAD
from tests.net.conftest import Build
from tests.net.dialogue import answer, request
from tests.net.http.client.visits import ask, first
from tests.net.peers import until

UNAVAILABLE = answer(b"", status=b"503 Service Unavailable")


async def test_answers_are_counted_by_class(front: Build) -> None:
    home = front()
    client = await home.connect()
    lane = await first(home, client, 0)
    for status in (b"404 Not Found", b"302 Found", b"500 Internal Server Error"):
        await ask(client, lane, reply=answer(b"", status=status))
    assert home.backends[0].responses == [0, 0, 1, 1, 1, 1]
    assert (home.backends[0].requests, home.backends[0].errors) == (4, 0)


async def test_a_request_that_ended_otherwise_is_counted_without_a_class(front: Build) -> None:
    home = front()
    client = await home.connect()
    await client.send(request())
    lane = await home.places[0].lane()
    await lane.head()
    client.reset()
    await until(lambda: home.records)
    assert (home.backends[0].requests, sum(home.backends[0].responses), home.backends[0].errors) == (1, 0, 0)


async def test_errors_in_a_row_eject(front: Build) -> None:
    """Where another backend is left; the last one would be a suspect."""
    home = front(2)
    client = await home.connect()
    lane, other = [await first(home, client, number) for number in (0, 1)]
    good = answer(b"ok")
    for reply in (UNAVAILABLE, UNAVAILABLE, good, UNAVAILABLE, UNAVAILABLE):
        await ask(client, lane, reply=reply)
        await ask(client, other)
    assert home.backends[0].in_rotation
    await ask(client, lane, reply=UNAVAILABLE)
    assert not home.backends[0].in_rotation
    assert await lane.rest() == b"", "an ejected backend's lanes do not rest"
    assert home.backends[0].responses == [0, 0, 2, 0, 0, 5]


async def test_a_large_head_that_a_backend_refuses_is_hinted_at(front: Build, caplog: pytest.LogCaptureFixture) -> None:
    home = front()
    client = await home.connect()
    small = b"X: " + b"x" * 100
    large = b"X: " + b"x" * LARGE_HEAD
    refused = answer(b"", status=b"431 Request Header Fields Too Large")
    lane = await first(home, client, 0, small, reply=refused)
    assert caplog.records == []
    await ask(client, lane, large, reply=refused)
    await ask(client, lane, large, reply=refused)
    assert [(record.levelno, record.message) for record in caplog.records] == [(logging.WARNING, "large_head_refused")]
