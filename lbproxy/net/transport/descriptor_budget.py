"""How many of a process's descriptors the data path may use: each accepted client must also get a lane."""

from __future__ import annotations

import resource
from collections.abc import Collection, Sized

from lbproxy.net.transport.poller import Poller

OTHERS = 32
"""Descriptors of everything that is no stream: listening sockets, the loop, logs, the channels between processes."""


def streams_allowed() -> int:
    """By the limit of this process (RLIMIT_NOFILE, getrlimit(2)), of which a sixteenth is kept for probes and files."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return 1 << 30
    return max(2, limit - limit // 16 - OTHERS)


class DescriptorBudget:
    """Of one process: `streams` may be open. `listeners` have the client connections that are."""

    def __init__(self, poller: Poller, streams: int) -> None:
        self.streams = streams
        self._poller = poller
        self._listeners: list[Sized] = []

    def __repr__(self) -> str:
        return f"<budget for {self.streams} streams, {self._poller.streams} open>"

    def share(self, connections: Collection[object]) -> None:
        """These are client connections too, from now on."""
        self._listeners.append(connections)

    def for_client(self) -> bool:
        """Whether there are descriptors for one more client, and for a lane for each."""
        streams = self._poller.streams
        if streams < self.streams // 2 - 1:
            return True  # there cannot be more clients than streams
        return sum(map(len, self._listeners)) < self.streams // 2 and streams + 2 <= self.streams

    def for_lane(self) -> bool:
        return self._poller.streams < self.streams
