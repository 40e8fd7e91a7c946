"""What a request that has ended is to its backend."""

from __future__ import annotations

import logging

import pytest

from lbproxy import reasons
from lbproxy.balance.backend import Backend
from lbproxy.net.http.account import LARGE_HEAD, refuses_large_head, settle
from lbproxy.reasons import Reason
from tests.net.conftest import Build
from tests.net.dialogue import answer, request
from tests.net.http.client.visits import ask, first
from tests.net.peers import until

UNAVAILABLE = answer(b"", status=b"503 Service Unavailable")


@pytest.mark.parametrize(
    ("status", "reason", "met", "in_row"),
    [
        (200, reasons.DONE, None, 0),
        (404, reasons.DONE, None, 0),
        (500, reasons.DONE, None, 0),
        (503, reasons.DONE, (reasons.BACKEND_ERROR, "503"), 2),
        (101, reasons.TUNNEL_DONE, None, 0),
        (0, reasons.RESPONSE_TIMEOUT, (reasons.RESPONSE_TIMEOUT, ""), 2),
    ],
)
def test_what_an_end_is_evidence_of(status: int, reason: Reason, met: tuple[Reason, str] | None, in_row: int) -> None:
    backend = Backend("c1", "http://c1.test:4000")
    backend.active, backend.errors_in_row = 1, 2
    assert settle(backend, status, reason) == met
    assert (backend.active, backend.requests, backend.errors_in_row) == (0, 1, in_row)
    assert sum(backend.responses) == (reason is not reasons.RESPONSE_TIMEOUT)


@pytest.mark.parametrize(
    ("status", "size", "expected"),
    [(431, LARGE_HEAD + 1, True), (400, LARGE_HEAD + 1, True), (400, LARGE_HEAD, False), (401, LARGE_HEAD + 1, False)],
)
def test_what_looks_like_a_header_limit(status: int, size: int, expected: bool) -> None:
    assert refuses_large_head(status, size) is expected


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
