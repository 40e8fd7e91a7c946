"""What the access log is given of a connection that was passed through."""

from __future__ import annotations

from lbproxy import reasons
from lbproxy.net.passthrough.record import record
from lbproxy.net.transport.poller import monotonic
from tests.net.conftest import Open
from tests.net.peers import Recorder


async def test_without_a_lane_what_was_not_reached_is_marked(open_stream: Open) -> None:
    stream, _ = open_stream(Recorder())
    made = record(stream, "raw", "192.0.2.1:5", "a.test", None, 2, (monotonic() - 1, 0.0), reasons.CONNECT_REFUSED)
    assert (made.listener, made.client, made.host, made.protocol) == ("raw", "192.0.2.1:5", "a.test", "TCP")
    assert (made.backend, made.lane, made.tries, made.connect_ms, made.first_byte_ms) == ("", "", 2, -1, -1)
    assert made.total_ms >= 1000
    assert made.reason == "connect_refused"


async def test_with_one_it_says_when_it_was_there(open_stream: Open) -> None:
    stream, _ = open_stream(Recorder())
    began = monotonic()
    made = record(stream, "raw", "192.0.2.1:5", "", None, 1, (began, began + 0.25), reasons.TUNNEL_DONE)
    assert round(made.connect_ms) == 250
