"""What is recorded of a request that is sampled, and which are; and what backends hear of the trace."""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import Any

import pytest

from tests.net.conftest import Build
from tests.net.dialogue import answer, request
from tests.net.http.client.visits import ask, first, upgraded
from tests.net.listener_fixture import ListenerFixture

TRUST: dict[str, Any] = {"trust": (ip_network("127.0.0.0/8"),)}
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def parent(flags: str = "01", version: str = "00") -> bytes:
    return f"traceparent: {version}-{TRACE}-{SPAN}-{flags}".encode()


def told(head: bytes) -> tuple[str, str, str]:
    """Trace, span and flags of the one `traceparent` that a backend got."""
    [found] = re.findall(rb"(?im)^traceparent: 00-([0-9a-f]{32})-([0-9a-f]{16})-(0[01])\r$", head)
    assert head.lower().count(b"traceparent") == 1
    return found[0].decode(), found[1].decode(), found[2].decode()


async def asked(home: ListenerFixture, *lines: bytes) -> bytes:
    """The head that the backend gets of a request over a lane that was used before."""
    client = await home.connect()
    lane = await first(home, client, 0)
    home.traces.clear()
    return await ask(client, lane, *lines)


async def test_a_trace_begins_here_with_the_requests_id(front: Build) -> None:
    home = front(request_id=b"X-Request-ID", sample=1.0)
    head = await asked(home, b"Cookie: secret", b"Authorization: Basic c2VjcmV0")
    trace_id, span_id, flags = told(head)
    [trace] = home.traces
    assert (trace.trace_id, trace.span_id, trace.parent_id, flags) == (trace_id, span_id, "", "01")
    assert f"X-Request-ID: {trace_id}\r\n".encode() in head
    assert trace.request_id == home.records[-1].request_id == home.records[-1].trace_id == trace_id
    assert "c2VjcmV0" not in repr(trace)
    assert "secret" not in repr(trace)


async def test_times_and_names(front: Build) -> None:
    home = front(sample=1.0)
    client = await home.connect()
    await client.send(request(b"GET /path/x?token=secret"))
    lane = await home.places[0].lane()
    await lane.head()
    await lane.send(answer(b"ok"))
    await client.sees(answer(b"ok"))
    await ask(client, lane)
    one, two = home.traces
    assert (one.method, one.path, one.host, one.status, one.backend) == ("GET", "/path/x", "a.test", 200, "c1")
    assert (one.listener, one.pool, one.scheme, one.reason) == ("login", home.pool.name, "http", "done")
    assert one.started <= one.opened <= one.connected == one.ready <= one.sent <= one.first_byte <= one.ended
    assert abs(one.ended - home.records[0].time) < 1
    assert (two.opened, two.connected, two.ready, two.attempts) == (0, 0, 0, [])
    assert "secret" not in repr(home.traces)


@pytest.mark.parametrize("sample", [0.0, 1.0])
async def test_only_what_is_sampled_leaves_the_fast_path(front: Build, sample: float) -> None:
    home = front(sample=sample)
    _, _, flags = told(await asked(home))
    assert flags == f"0{int(sample)}"
    assert (len(home.traces), home.site.on_fast_path) == (int(sample), 1 - int(sample))


async def test_about_the_share_is_sampled(front: Build) -> None:
    home = front(sample=0.25)
    client = await home.connect()
    lane = await first(home, client, 0)
    for _ in range(400):
        await ask(client, lane)
    assert 40 < len(home.traces) < 180, "either has a chance below 1e-10"


@pytest.mark.parametrize(("sample", "flags", "recorded"), [(0.0, "01", True), (1.0, "00", False)])
async def test_a_trusted_client_says_whether_it_is_sampled(
    front: Build, sample: float, flags: str, recorded: bool
) -> None:
    home = front(sample=sample, **TRUST)
    trace_id, span_id, written = told(await asked(home, parent(flags), b"tracestate: a=1", b"Tracestate: b=2"))
    assert (trace_id, written) == (TRACE, flags)
    assert span_id != SPAN
    assert [(trace.span_id, trace.parent_id) for trace in home.traces] == ([(span_id, SPAN)] if recorded else [])


@pytest.mark.parametrize("flags", ["00", "01"])
@pytest.mark.parametrize("sample", [0.0, 1.0])
async def test_others_do_not_but_their_trace_goes_on(front: Build, sample: float, flags: str) -> None:
    home = front(sample=sample)
    head = await asked(home, parent(flags), b"tracestate: a=1", b"Tracestate: b=2")
    assert told(head)[::2] == (TRACE, f"0{int(sample)}")
    assert head.index(b"tracestate: a=1\r\n") < head.index(b"Tracestate: b=2\r\n")
    assert len(home.traces) == int(sample)


@pytest.mark.parametrize(
    "lines",
    [
        (b"traceparent: nonsense",),
        (b"traceparent:",),
        (parent(version="ff"),),
        (parent() + b"-more",),
        (parent(), parent()),
        (),
    ],
    ids=repr,
)
async def test_invalid_ones_are_replaced_with_their_state(front: Build, lines: tuple[bytes, ...]) -> None:
    home = front(sample=0.0, **TRUST)
    head = await asked(home, *lines, b"tracestate: a=1")
    trace_id, _, flags = told(head)
    assert (trace_id != TRACE, flags) == (True, "00")
    assert b"tracestate" not in head.lower()


async def test_without_tracing_the_headers_are_as_any_other(front: Build) -> None:
    home = front()
    head = await asked(home, b"traceparent: nonsense", b"tracestate: a=1")
    assert b"traceparent: nonsense\r\n" in head
    assert b"tracestate: a=1\r\n" in head
    assert home.records[-1].trace_id == ""


async def test_a_retry_is_an_attempt_and_has_the_same_parent(front: Build) -> None:
    home = front(2, sample=1.0)
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
    [trace] = home.traces
    [attempt] = trace.attempts
    assert (attempt.backend, attempt.reason, trace.backend, trace.tries) == ("c1", "lane_lost", "c2", 2)
    assert trace.started <= attempt.until <= trace.opened <= trace.sent


async def test_no_backend_answered(front: Build) -> None:
    home = front(2, sample=1.0)
    client = await home.connect()
    await client.send(request(b"GET /x"))
    lane = await home.places[0].lane()
    await lane.head()
    home.places[1].listener.close()
    lane.finish()
    assert (await client.head()).startswith(b"HTTP/1.1 50")
    [trace] = home.traces
    assert [(one.backend, one.reason) for one in trace.attempts] == [("c1", "lane_lost"), ("c2", "connect_refused")]
    assert (trace.backend, trace.opened, trace.first_byte) == ("", 0, 0)


async def test_refused_requests_and_tunnels_are_recorded_too(front: Build) -> None:
    home = front(sample=1.0)
    client, lane = await upgraded(home)
    lane.finish()
    client.finish()
    assert await client.rest() == b""
    client = await home.connect()
    await client.send(request(b"GET /denied"))
    assert (await client.head()).startswith(b"HTTP/1.1 404 ")
    await home.close()
    assert [(trace.reason, trace.status, trace.backend) for trace in home.traces] == [
        *(("tunnel_done", 101, "c1"), ("denied_path", 404, "")),
    ]
