"""Fixtures of all tests of processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from lbproxy.process.ipc.channel import Channel

Pair = Callable[[], tuple[Channel, Channel]]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Makes channels that speak to each other, and closes them in the end."""
    made: list[Channel] = []

    def make() -> tuple[Channel, Channel]:
        one, other = Channel.pair()
        made.extend((one, other))
        return one, other

    yield make
    for channel in made:
        channel.close()
