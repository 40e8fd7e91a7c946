"""What requests are named by, as a backend, the client and the access log see it."""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import Any

import pytest

from lbproxy.net.http.request_ids import IdSource, RequestIds
from tests.net.conftest import Build
from tests.net.dialogue import answer, request
from tests.net.http.client.visits import ask, first, upgraded

MADE = re.compile(rb"[0-9a-f]{32}")
TRUSTING: dict[str, Any] = {"request_id": b"X-Request-ID", "trust": (ip_network("127.0.0.0/8"),)}
GIVEN = b"Front-End/4711:a_b.c~d+e=f@g-h"


def ids_in(head: bytes) -> list[bytes]:
    return re.findall(rb"(?im)^x-request-id: *(.*?)\r$", head)


async def test_requests_get_an_id_which_the_log_has_too(front: Build) -> None:
    home = front(request_id=b"X-Request-ID")
    client = await home.connect()
    await client.send(request(b"GET /x"))
    lane = await home.places[0].lane()
    heads = [await lane.head()]
    await lane.send(answer(b"ok"))
    await client.sees(answer(b"ok"))
    heads += [await ask(client, lane) for _ in range(300)]  # more than are fetched at once
    made = [one for head in heads for one in ids_in(head)]
    assert len(set(made)) == len(heads) == 301
    assert all(MADE.fullmatch(one) for one in made)
    assert [record.request_id.encode() for record in home.records] == made
    assert home.site.on_fast_path == 300


@pytest.mark.parametrize("sent", [b"x", b"a" * 128, GIVEN])
async def test_a_trusted_client_names_its_requests(front: Build, sent: bytes) -> None:
    home = front(**TRUSTING)
    client = await home.connect()
    lane = await first(home, client, 0)
    assert ids_in(await ask(client, lane, b"x-request-id: " + sent)) == [sent]
    [other] = ids_in(await ask(client, lane))
    assert MADE.fullmatch(other), "nothing of the request before"
    assert [record.request_id.encode() for record in home.records[1:]] == [sent, other]


@pytest.mark.parametrize(
    "lines",
    [
        (b"X-Request-ID:",),
        (b"X-Request-ID: " + b"a" * 129,),
        (b"X-Request-ID: two words",),
        (b"X-Request-ID: a,b",),
        (b'X-Request-ID: "a"',),
        (b"X-Request-ID: a\xc3\xa4",),
        (b"X-Request-ID: a\tb",),
        (b"X-Request-ID: <script>",),
        (b"X-Request-ID: a", b"X-Request-ID: b"),
        (b"X_Request_ID: a",),
    ],
    ids=repr,
)
async def test_odd_ids_of_a_trusted_client_are_replaced(front: Build, lines: tuple[bytes, ...]) -> None:
    home = front(**TRUSTING)
    client = await home.connect()
    lane = await first(home, client, 0)
    head = await ask(client, lane, *lines)
    [made] = ids_in(head)
    assert MADE.fullmatch(made)
    assert b"_ID" not in head
    assert home.records[-1].request_id.encode() == made


@pytest.mark.parametrize("value", [b"a\r\n Evil: 1", b"a\rEvil: 1", b"a\0b", b"a\x7f"])
async def test_an_id_cannot_bring_another_header_in(front: Build, value: bytes) -> None:
    home = front(**TRUSTING)
    client = await home.connect()
    await client.send(request(b"GET /x", b"X-Request-ID: " + value))
    head = await client.head()
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"Evil" not in head
    [made] = ids_in(head)
    assert MADE.fullmatch(made)


async def test_the_ids_of_others_are_replaced(front: Build) -> None:
    home = front(request_id=b"X-Request-ID", trust=(ip_network("192.0.2.0/24"),))
    client = await home.connect()
    lane = await first(home, client, 0)
    [made] = ids_in(await ask(client, lane, b"X-Request-ID: " + GIVEN, b"Connection: x-request-id"))
    assert MADE.fullmatch(made)


async def test_without_a_name_for_it_the_header_is_as_any_other(front: Build) -> None:
    home = front()
    client = await home.connect()
    lane = await first(home, client, 0)
    assert ids_in(await ask(client, lane, b"X-Request-ID: two words")) == [b"two words"]
    assert {record.request_id for record in home.records} == {""}


async def test_it_stays_the_same_when_another_backend_is_asked(front: Build) -> None:
    home = front(2, request_id=b"X-Correlation-ID")
    client = await home.connect()
    await client.send(request(b"GET /x"))
    heads = []
    for place in home.places:
        lane = await place.lane()
        heads.append(await lane.head())
        if place is home.places[0]:
            lane.finish()
    await lane.send(answer(b"ok"))
    await client.sees(answer(b"ok"))
    assert heads[0] == heads[1]
    assert f"X-Correlation-ID: {home.records[0].request_id}\r\n".encode() in heads[0]
    assert home.records[0].tries == 2


async def test_lbproxys_own_answers_have_it(front: Build) -> None:
    """And name the reason; but not that a denied path is there."""
    home = front(**TRUSTING)
    client = await home.connect()
    await client.send(request(b"GET /x", b"X-Request-ID: " + GIVEN))
    (await home.places[0].lane()).finish()
    head = await client.head()
    assert head.startswith(b"HTTP/1.1 502 ")
    assert ids_in(head) == [GIVEN]
    await client.sees(
        b"502 Bad Gateway\nThe service cannot answer at the moment.\n\nreason: lane_lost\nrequest id: " + GIVEN + b"\n"
    )
    await client.send(request(b"GET /denied", b"X-Request-ID: of-the-denied"))
    assert ids_in(await client.head()) == [b"of-the-denied"]
    await client.sees(b"404 Not Found\nrequest id: of-the-denied\n")
    assert [record.request_id for record in home.records] == [GIVEN.decode(), "of-the-denied"]


async def test_a_backends_answer_does_not_get_it(front: Build) -> None:
    home = front(request_id=b"X-Request-ID")
    client = await home.connect()
    lane = await first(home, client, 0)
    await ask(client, lane, reply=answer(b"ok", b"X-Request-ID: the-backends-own"))


async def test_a_request_that_becomes_a_tunnel_has_one(front: Build) -> None:
    home = front(**TRUSTING)
    client, lane = await upgraded(home, b"X-Request-ID: tunnel")
    lane.finish()
    client.finish()
    assert await client.rest() == b""
    await home.close()
    assert [record.request_id for record in home.records] == ["tunnel"]


def test_nothing_is_named_before_the_first_request() -> None:
    assert RequestIds(IdSource()).request_id == b"0" * 32


async def test_a_request_is_an_example_of_its_time_and_the_next_ones_are_not(front: Build) -> None:
    """One in ten seconds of each order of magnitude: the others cost a comparison."""
    home = front(request_id=b"X-Request-ID")
    client = await home.connect()
    await client.send(request(b"GET /x"))
    lane = await home.places[0].lane()
    head = await lane.head()
    await lane.send(answer(b"ok"))
    await client.sees(answer(b"ok"))
    heads = [head] + [await ask(client, lane) for _ in range(50)]
    examples = home.backends[0].latency.examples
    assert {one.request_id.encode() for one in examples} <= {one for head in heads for one in ids_in(head)}
    assert len(examples) < 20
    assert ids_in(heads[0])[0].decode() in {one.request_id for one in examples}
    assert {one.trace_id for one in examples} == {""}


async def test_without_names_there_are_no_examples(front: Build) -> None:
    home = front()
    client = await home.connect()
    await client.send(request(b"GET /x"))
    lane = await home.places[0].lane()
    await lane.head()
    await lane.send(answer(b"ok"))
    await client.sees(answer(b"ok"))
    assert home.backends[0].latency.examples == []
