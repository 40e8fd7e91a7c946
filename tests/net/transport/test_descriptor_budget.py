"""What of a process's descriptors is for users."""

from __future__ import annotations

import asyncio
import resource
import socket

import pytest

from lbproxy.net.transport.descriptor_budget import DescriptorBudget, streams_allowed
from lbproxy.net.transport.poller import Handler, Poller
from lbproxy.net.transport.stream import Stream


@pytest.mark.parametrize(
    ("limit", "expected"), [(1024, 928), (65536, 61408), (20, 2), (resource.RLIM_INFINITY, 1 << 30)]
)
def test_probes_and_files_keep_some(limit: int, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))
    assert streams_allowed() == expected


async def test_there_is_a_lane_for_every_client() -> None:
    poller = Poller(asyncio.get_running_loop())
    budget = DescriptorBudget(poller, 6)
    one, two = set[object](), set[object]()
    budget.share(one)
    budget.share(two)
    streams = []

    def open_one() -> Stream:
        ours, theirs = socket.socketpair()
        theirs.close()
        ours.setblocking(False)
        streams.append(Stream(poller, ours.detach(), Handler()))
        return streams[-1]

    one |= {open_one(), open_one()}
    assert budget.for_client()
    two.add(open_one())
    assert not budget.for_client(), "half of the room is for clients, on whatever listener"
    two.clear()
    while budget.for_lane():
        assert budget.for_client() is (len(streams) < 5), "private lanes may take more than half"
        open_one()
    assert len(streams) == 6
    assert not budget.for_client()
    assert repr(budget) == "<budget for 6 streams, 6 open>"
    for stream in streams:
        stream.close()
    poller.close()
