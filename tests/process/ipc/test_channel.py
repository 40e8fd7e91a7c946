"""Messages over a socket pair: whole, in order, with their descriptors, and without waiting."""

from __future__ import annotations

import os
import socket
import struct
import threading

import pytest

from lbproxy.errors import MessageError
from lbproxy.process.ipc.channel import Channel
from tests.process.conftest import Pair
from tests.process.words import WORDS, Word


def messages(channel: Channel[Word, Word]) -> list[Word]:
    return [received.message for received in channel.receive()]


def test_messages_arrive_whole_and_in_order(pair: Pair) -> None:
    one, other = pair(WORDS)
    for number in range(3):
        one.send(Word(f"{number}"))
    assert messages(other) == [Word(f"{number}") for number in range(3)]
    assert messages(other) == []
    other.send(Word("answer"))
    assert messages(one) == [Word("answer")]


def test_a_message_in_pieces_is_kept_until_it_is_whole(pair: Pair) -> None:
    one, other = pair(WORDS)
    one.send(Word("pieces"))
    raw = other.socket.recv(100)
    for at in range(len(raw)):
        one.socket.send(raw[:at])
        assert other.receive() == []
        # What came belongs to the next channel on the same socket, as after an upgrade.
        follower = Channel(other.socket, WORDS, other.rest())
        one.socket.send(raw[at:])
        assert messages(follower) == [Word("pieces")]
        other = Channel(other.socket, WORDS)


def test_descriptors_come_with_their_message(pair: Pair) -> None:
    one, other = pair(WORDS)
    ends = [os.pipe() for _ in range(2)]
    one.send(Word("plain"))
    one.send(Word("first"), [ends[0][1]])
    one.send(Word("second"), [ends[1][1]])
    plain, first, second = (received for _ in range(3) for received in other.receive())
    assert plain.descriptors == []
    for received, (reader, writer) in zip((first, second), ends, strict=True):
        os.close(writer)
        [ours] = received.descriptors
        assert not os.get_inheritable(ours)
        os.write(ours, received.message.text.encode())
        os.close(ours)
        assert os.read(reader, 100).decode() == received.message.text
        os.close(reader)


def test_what_the_kernel_does_not_take_waits(pair: Pair) -> None:
    one, other = pair(WORDS)
    large = Word("x" * 1_000_000)
    one.send(large)
    one.send(Word("after"))
    assert one.has_queue
    found: list[Word] = []
    while len(found) < 2:
        one.flush()
        found += messages(other)
    assert found == [large, Word("after")]
    assert not one.has_queue


def test_wait_blocks_until_there_is_one(pair: Pair) -> None:
    one, other = pair(WORDS)
    thread = threading.Timer(0.01, lambda: one.send(Word("late")))
    thread.start()
    assert other.wait().message == Word("late")
    thread.join()


def test_the_end_comes_after_the_last_message(pair: Pair) -> None:
    one, other = pair(WORDS)
    one.send(Word("last"))
    one.close()
    assert messages(other) == [Word("last")]
    with pytest.raises(EOFError):
        other.receive()
    with pytest.raises(EOFError):
        other.wait()
    other.send(Word("into the void"))
    assert not other.has_queue
    assert "gone" in repr(other)


def raw(channel: Channel[Word, Word], data: bytes, *descriptors: int) -> None:
    """Send bytes in the place of a message."""
    socket.send_fds(channel.socket, [struct.pack("!IH", len(data), len(descriptors)) + data], descriptors)


def test_a_message_of_an_unknown_kind_is_left_out_and_its_descriptors_closed(pair: Pair) -> None:
    one, other = pair(WORDS)
    reader, writer = os.pipe()
    raw(one, b'{"type":"of a later version"}', writer)
    one.send(Word("after"))
    os.close(writer)
    assert messages(other) == [Word("after")]
    assert os.read(reader, 1) == b""
    os.close(reader)


def test_a_message_that_cannot_be_read_is_logged_and_left_out(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    one, other = pair(WORDS)
    told: list[MessageError] = []
    other.unreadable = told.append
    reader, writer = os.pipe()
    raw(one, b'{"type":"word"}', writer)
    raw(one, b"no JSON")
    one.send(Word("after"))
    os.close(writer)
    assert messages(other) == [Word("after")]
    assert [record.message for record in caplog.records] == ["message_unreadable"] * 2
    assert [str(error).partition(":")[0] for error in told] == ["message word", "a message that is no JSON"]
    assert str(vars(caplog.records[0])["fields"]["problem"]) == "message word: text is missing"
    assert os.read(reader, 1) == b""
    os.close(reader)


def test_who_waits_for_a_message_hears_that_it_cannot_be_read(pair: Pair) -> None:
    one, other = pair(WORDS)
    raw(one, b'{"type":"of a later version"}')
    raw(one, b'{"type":"word","text":1}')
    with pytest.raises(MessageError, match="message word: text: int instead of str"):
        other.wait()


def test_unknown_messages_alone_are_not_the_end(pair: Pair) -> None:
    one, other = pair(WORDS)
    raw(one, b'{"type":"of a later version"}')
    assert messages(other) == []
    one.close()
    with pytest.raises(EOFError):
        other.receive()
