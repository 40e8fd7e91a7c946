"""The master's loop."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from lbproxy.process.ipc.channel import Received
from lbproxy.process.ipc.reactor import Reactor
from tests.process.conftest import Pair
from tests.process.words import WORDS, Word


@pytest.fixture
def reactor() -> Iterator[Reactor]:
    previous = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGUSR1)}
    made = Reactor()
    yield made
    made.close()
    for number, handler in previous.items():
        signal.signal(number, handler)


def test_timers_go_off_in_their_order(reactor: Reactor) -> None:
    seen: list[str] = []
    reactor.later(0.02, reactor.stop)
    reactor.later(0.01, lambda: seen.append("second"))
    reactor.later(0, lambda: seen.append("first"))
    cancel = reactor.later(0, lambda: seen.append("never"))
    cancel()
    cancel()
    reactor.run()
    assert seen == ["first", "second"]


def test_signals_are_told_one_by_one(reactor: Reactor) -> None:
    seen: list[signal.Signals] = []

    def caught(number: signal.Signals) -> None:
        seen.append(number)
        if len(seen) == 2:
            reactor.stop()

    reactor.signals([signal.SIGHUP, signal.SIGUSR1], caught)
    signal.pthread_kill(threading.get_ident(), signal.SIGHUP)  # a thread of another test might turn them round
    signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
    reactor.run()
    assert seen == [signal.SIGHUP, signal.SIGUSR1]


def test_a_signal_that_was_blocked_is_not_lost(reactor: Reactor) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])
    signal.pthread_kill(threading.get_ident(), signal.SIGHUP)  # to no other thread, which does not block it
    reactor.signals([signal.SIGHUP], lambda _: reactor.stop())
    reactor.run()


def test_a_signal_that_came_and_was_not_told_is_held_too(reactor: Reactor) -> None:
    reactor.signals([signal.SIGHUP], lambda _: reactor.stop())
    signal.pthread_kill(threading.get_ident(), signal.SIGHUP)  # to no other thread: its byte is there by the next line
    reactor.hold_signals()
    assert signal.sigpending() == {signal.SIGHUP}
    reactor.release_signals()
    reactor.run()


def test_channels_are_read_to_their_end(reactor: Reactor, pair: Pair) -> None:
    ours, theirs = pair(WORDS)
    seen: list[object] = []

    def ended() -> None:
        seen.append("end")
        reactor.stop()

    reactor.watch(ours, lambda received: seen.append(received.message.text), ended)
    theirs.send(Word("one"))
    theirs.send(Word("two"))
    theirs.close()
    reactor.run()
    assert seen == ["one", "two", "end"]
    assert ours.fileno() >= 0, "an upgrade hands it on until the process is reaped"
    reactor.unwatch(ours)
    assert ours.fileno() == -1


def test_a_queue_is_sent_when_there_is_room(reactor: Reactor, pair: Pair) -> None:
    ours, theirs = pair(WORDS)
    ours.send(Word("x" * 1_000_000))
    seen: list[int] = []

    def received(message: object) -> None:
        seen.append(1)
        reactor.stop()

    reactor.watch(ours, received, lambda: None)
    reactor.watch(theirs, received, lambda: None)
    reactor.run()
    assert seen
    assert not ours.has_queue
    assert "2 channels" in repr(reactor)


def test_nothing_is_told_of_a_channel_that_was_given_up_meanwhile(reactor: Reactor, pair: Pair) -> None:
    pairs = [pair(WORDS) for _ in range(2)]
    seen: list[object] = []

    def received(_: object) -> None:
        seen.append(1)
        for ours, _theirs in pairs:
            reactor.unwatch(ours)
        reactor.stop()

    for ours, theirs in pairs:
        reactor.watch(ours, received, lambda: None)
        theirs.send(Word("x"))
    reactor.run()
    assert len(seen) == 1


def test_a_fork_that_closes_it_leaves_it_to_its_parent(reactor: Reactor, pair: Pair) -> None:
    ours, theirs = pair(WORDS)
    seen: list[object] = []

    def received(received: Received[Word]) -> None:
        seen.append(received.message.text)
        reactor.stop()

    reactor.watch(ours, received, lambda: None)
    if (pid := os.fork()) == 0:
        reactor.close()
        os._exit(0)
    os.waitpid(pid, 0)
    theirs.send(Word("after"))
    reactor.later(10, reactor.stop)
    reactor.run()
    assert seen == ["after"]


def test_the_end_of_a_pipe_is_told_once(reactor: Reactor) -> None:
    reading, writing = os.pipe()
    seen: list[int] = []
    reactor.watch_end(reading, lambda: seen.append(reading))
    reactor.later(0, lambda: os.close(writing))
    reactor.later(0.02, reactor.stop)
    reactor.run()
    assert seen == [reading]
    os.close(reading)
