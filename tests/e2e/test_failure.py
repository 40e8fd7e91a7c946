"""What the client and the backends see when a backend fails: the core rows of the table of failures."""

from __future__ import annotations

import contextlib
from collections import Counter
from pathlib import Path

import pytest

from tests.ports import free_port

from .backend import Lane, ScriptedBackend, answer, serve
from .balancer import running
from .client import Client, request
from .configuration import configuration
from .conftest import Backends, Balance, Play, Share
from .message import Cut
from .test_rotation import QUICK, Health, until_state

CHECK = {"kind": "http", "path": "/healthz", **QUICK}
SLOW_CHECK = {"kind": "http", "path": "/healthz", "interval": "1h"}
"""One good probe at the start, and then none but those that evidence asks for."""


def nobody(name: str = "c0") -> ScriptedBackend:
    """A backend that refuses every connection."""
    backend = ScriptedBackend(name)
    backend.port = free_port()
    return backend


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_refused_connect_is_no_error(backends: Backends, balance: Balance, method: str) -> None:
    """Without probes, so that it is user traffic that finds out."""
    live = await backends(serve, serve)
    balancer = await balance(nobody(), *live)
    for _ in range(6):
        response = await balancer.ask("/x", method, body=b"body" if method == "POST" else None)
        assert response.status == 200
    assert Counter(seen.body for one in live for seen in one.complete) == {b"body" if method == "POST" else b"": 6}
    await balancer.logged("backend_ejected", "c0", "connect_refused")
    status = (await balancer.backends())["c0"]
    assert (status["state"], status["reason"], status["connect_failures"]) == ("down", "connect_refused", 1)
    assert status["retried_from"] == 1


async def test_a_refused_connect_with_a_streamed_body_is_no_error(backends: Backends, balance: Balance) -> None:
    """No byte was sent, so nothing has to be kept for a second try."""
    [live] = await backends()
    balancer = await balance(nobody(), live)
    body = b"x" * 3_000_000
    for _ in range(2):
        assert (await balancer.ask("/x", "POST", body=body)).status == 200
    assert [seen.body == body for seen in live.complete] == [True, True]


async def test_a_killed_backend_costs_no_request(backends: Backends, balance: Balance) -> None:
    """Its idle lanes are gone, its port refuses; it returns through its probes."""
    members = await backends(Health(), Health(), Health())
    balancer = await balance(*members, pool={"check": CHECK})
    async with await balancer.connect() as client:
        for _ in range(9):
            assert (await client.ask()).status == 200
        await members[1].stop()
        for number in range(30):
            assert (await client.ask("/", "POST" if number % 2 else "GET")).status == 200
        await until_state(balancer, "c2", "down")
        await members[1].start()
        await until_state(balancer, "c2", "up")
        assert Counter([(await client.ask()).body for _ in range(30)]) == {b"c1": 10, b"c2": 10, b"c3": 10}


class Stale:
    """A script whose lanes die unanswered at their second request, as a backend's that was about to close them."""

    def __init__(self, reset: bool) -> None:
        self.reset = reset

    async def __call__(self, lane: Lane) -> None:
        seen = await lane.request()
        while seen and seen.target == b"/healthz":
            await lane.send(answer())
            seen = await lane.request()
        if seen:
            await lane.send(answer(b"stale"))
            await lane.request()
        if self.reset:
            lane.reset()


@pytest.mark.parametrize("reset", [False, True], ids=["close", "reset"])
async def test_a_get_on_a_stale_lane_succeeds_elsewhere(share: Share, reset: bool) -> None:
    balancer, _ = await share(Stale(reset), Health(), pool={"check": SLOW_CHECK})
    before = (await balancer.backends())["c1"]["ejections"]
    async with await balancer.connect() as client:
        for number in range(20):
            assert (await client.ask(f"/{number}")).status == 200
    retried = await balancer.accessed(tries=2)
    assert {record["backend"] for record in retried} == {"c2"}
    after = (await balancer.backends())["c1"]
    assert (after["state"], after["ejections"]) == ("up", before)


@pytest.mark.parametrize("reset", [False, True], ids=["close", "reset"])
async def test_a_post_on_a_stale_lane_is_sent_once(share: Share, reset: bool) -> None:
    balancer, members = await share(Stale(reset), Health(), pool={"check": SLOW_CHECK})
    async with await balancer.connect() as client:
        statuses = Counter([(await client.ask(f"/{number}", "POST", body=b"x")).status for number in range(20)])
    assert set(statuses) == {200, 502}
    seen = Counter(one.target for member in members for one in member.requests if one.method == b"POST")
    assert len(seen) == 20
    assert set(seen.values()) == {1}


METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH")
CASES = [(method, body) for method in METHODS for body in (None, b"x")]


async def test_a_fresh_lane_that_dies_unanswered(backends: Backends, directory: Path) -> None:
    """Replayable requests go to the next backend, others are a 502; the backend is ejected at once either way.

    Each case has a listener and a pool of its own, of one balancer.
    """

    async def dies(lane: Lane) -> None:
        await lane.request()

    config = configuration(directory, [])
    [listener], [pool] = config["listener"].values(), config["pool"].values()
    members = {}
    for number, case in enumerate(CASES):
        members[case] = [one, two] = await backends(dies, serve)
        entries = [{"name": "c1", "url": one.url}, {"name": "c2", "url": two.url}]
        config["pool"][f"p{number}"] = {**pool, "backends": entries}
        config["listener"][f"l{number}"] = {**listener, "bind": f"127.0.0.1:{free_port()}", "pool": f"p{number}"}
    del config["listener"]["login"], config["pool"]["connectors"]
    async with running(config, directory) as balancer:
        for number, (method, body) in enumerate(CASES):
            host, _, port = config["listener"][f"l{number}"]["bind"].partition(":")
            responses = []
            async with await Client.connect((host, int(port))) as client:
                for _ in range(2):  # one of the two meets the dying one first
                    await client.send(request("/x", method, body=body))
                    responses.append((await client.response(method)).status)
            replayable = method in ("GET", "HEAD", "OPTIONS")
            assert sorted(responses) == ([200, 200] if replayable else [200, 502]), (method, body)
            assert len(members[method, body][0].requests) == 1, (method, body)
            await balancer.logged("backend_ejected", f"pool=p{number} ", "backend=c1", "lane_lost")


@pytest.mark.parametrize("scheme", ["Negotiate YIIB", "NTLM TlRMTVNTUAABAAAA"])
async def test_a_token_is_sent_once(backends: Backends, balance: Balance, scheme: str) -> None:
    """Rule 6: a GET that carries a token is not replayed after a byte was sent; a refused connect may move it."""

    async def dies(lane: Lane) -> None:
        await lane.request()

    members = await backends(dies, dies)
    balancer = await balance(nobody(), *members)
    for _ in range(3):
        async with await balancer.connect() as client:
            await client.send(request("/x", "GET", f"Authorization: {scheme}"))
            with contextlib.suppress(Cut):  # rule 5: a dead exchange may end the client connection instead
                assert (await client.response()).status == 502
    assert sum(len(member.requests) for member in members) == 3


async def test_a_lane_that_closed_while_idle_is_never_used(play: Play) -> None:
    """So even POSTs do not fail on it."""

    async def once(lane: Lane) -> None:
        await lane.request()
        await lane.send(answer(b"once"))

    balancer, backend = await play(once)
    async with await balancer.connect() as client:
        for number in range(1, 21):
            assert (await client.ask("/", "POST", body=b"x")).body == b"once"
            await backend.until_ended(number)
    assert (await balancer.backends())["c1"]["state"] == "up"


async def test_idle_lanes_are_retired(backends: Backends, balance: Balance) -> None:
    [backend] = await backends()
    balancer = await balance(backend, pool={"idle_lane_timeout": "200ms"})
    assert (await balancer.ask()).status == 200
    await backend.until_ended(1)
    assert (await balancer.status())["ends"]["lane_retired"] >= 1


async def test_everything_down_is_refused_at_once(backends: Backends, balance: Balance) -> None:
    balancer = await balance(nobody(), nobody("c9"), pool={"check": CHECK, "when_all_down": "refuse"})
    async with await balancer.connect() as client:
        for method in ("GET", "POST", "HEAD"):
            await client.send(request("/x", method))
            response = await client.response(method)
            assert response.status == 503
            assert int(response.get("retry-after") or b"-1") >= 0
    await balancer.accessed(3, reason="no_backend", status=503)


async def test_everything_down_is_tried_once_each(backends: Backends, balance: Balance) -> None:
    """Both fail their probes, one of them serves: the request finds it."""
    live, broken = Health("500 Broken"), Health("500 Broken")
    members = await backends(live, broken)
    await members[1].stop()
    balancer = await balance(nobody(), *members, pool={"check": CHECK, "when_all_down": "try"})
    for _ in range(3):
        assert (await balancer.ask()).body == b"c1"


async def test_everything_refusing_is_tried_once_each(backends: Backends, balance: Balance) -> None:
    balancer = await balance(nobody(), nobody("c9"), pool={"check": CHECK, "when_all_down": "try"})
    assert (await balancer.ask("/x")).status in (502, 503)
    [record] = await balancer.accessed(target="/x")
    assert record["tries"] == 2


async def test_errors_in_a_row_eject(backends: Backends, balance: Balance) -> None:
    async def fails(lane: Lane) -> None:
        while seen := await lane.request():
            await lane.send(answer(status="200 OK" if seen.target == b"/healthz" else "503 Busy"))

    members = await backends(fails, Health())
    balancer = await balance(*members, pool={"check": SLOW_CHECK, "consecutive_errors": 3})
    async with await balancer.connect() as client:
        statuses = Counter([(await client.ask()).status for _ in range(20)])
    assert statuses == {200: 17, 503: 3}
    await balancer.logged("backend_ejected", "c1", "backend_error")
