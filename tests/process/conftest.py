"""Fixtures of all tests of processes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import pytest

from lbproxy.process.ipc.channel import Channel
from lbproxy.process.ipc.messages import Conversation, Hears, Says


class Pair(Protocol):
    """Makes channels that speak to each other; the first one has the end of that conversation."""

    def __call__(
        self, conversation: Conversation[Says, Hears]
    ) -> tuple[Channel[Says, Hears], Channel[Hears, Says]]: ...


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Closes them in the end."""
    made: list[Channel[Any, Any]] = []

    def make(conversation: Conversation[Says, Hears]) -> tuple[Channel[Says, Hears], Channel[Hears, Says]]:
        one, other = Channel.pair(conversation)
        made.extend((one, other))
        return one, other

    yield make
    for channel in made:
        channel.close()
