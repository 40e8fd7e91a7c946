"""A channel on an asyncio loop."""

from __future__ import annotations

import asyncio

from lbproxy.process.ipc.async_channel import AsyncChannel
from lbproxy.process.ipc.channel import Received
from tests.net.peers import until
from tests.process.conftest import Pair
from tests.process.words import WORDS, Word


async def test_messages_come_and_go_and_the_end_is_told(pair: Pair) -> None:
    ours, theirs = pair(WORDS)
    heard: list[Received[Word]] = []
    ended = asyncio.Event()
    line = AsyncChannel(ours, heard.append, ended.set)
    theirs.send(Word("one"))
    await until(lambda: heard)
    line.send(Word("two"))
    assert theirs.wait().message == Word("two")
    theirs.send(Word("last"))
    theirs.close()
    await ended.wait()
    assert [received.message for received in heard] == [Word("one"), Word("last")]
    line.send(Word("nobody hears it"))
    line.close()


async def test_a_large_message_is_sent_as_there_is_room(pair: Pair) -> None:
    ours, theirs = pair(WORDS)
    line = AsyncChannel(ours, lambda _: None, lambda: None)
    heard: list[Received[Word]] = []
    other = AsyncChannel(theirs, heard.append, lambda: None)
    line.send(Word("x" * 1_000_000))
    await until(lambda: heard)
    assert len(heard[0].message.text) == 1_000_000
    line.close()
    other.close()


async def test_what_was_taken_in_with_a_message_before_is_heard(pair: Pair) -> None:
    """Of those bytes the kernel tells nobody any more."""
    ours, theirs = pair(WORDS)
    for kind in ("start", "drain"):
        theirs.send(Word(kind))
    assert ours.wait().message == Word("start")
    heard: list[Received[Word]] = []
    line = AsyncChannel(ours, heard.append, lambda: None)
    await until(lambda: heard)
    assert heard[0].message == Word("drain")
    line.close()
