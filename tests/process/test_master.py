"""What the master does; the test plays the generations, at the other ends of their channels.

Real ones, and their signals, are in tests/e2e/test_reload.py.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from lbproxy.process import master
from lbproxy.process.channel import Channel, Received
from lbproxy.process.child import Child, Stage
from lbproxy.process.holdings import Holdings
from lbproxy.process.master import Master
from lbproxy.process.notify import Notifier
from lbproxy.process.reactor import Reactor
from lbproxy.process.upgrade import Estate

PLACE = ["127.0.0.1", 0, "", "listener.a.bind"]
NEEDS = {"type": "needs", "places": [["listener.a.bind", PLACE, False]], "owner": [-1, -1]}


class Actor:
    """A generation that does nothing by itself: its process ends when it is told to."""

    def __init__(self, number: int, stage: Stage) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        ours, theirs = Channel.pair()
        self.channel = theirs
        self.child = Child(self.process.pid, number, ours, stage)

    def end(self) -> None:
        assert self.process.stdin is not None
        if not self.process.stdin.closed:
            self.process.stdin.write(b"\n")
            self.process.stdin.close()
        self.channel.close()

    def heard(self) -> str:
        return self.take().message["type"]  # type: ignore[no-any-return]

    def take(self) -> Received:
        return self.channel.wait()


class Theatre:
    """A master, and the actors that it believes are its children; `launch` hands them out."""

    def __init__(self, **environment: str) -> None:
        self.reactor = Reactor()
        self.holdings = Holdings()
        self.actors: list[Actor] = []
        self.master = Master(Path("lb.toml"), self.reactor, self.holdings, Notifier(environment))

    def actor(self, stage: Stage = Stage.STARTING) -> Actor:
        self.master.number += 1
        actor = Actor(self.master.number, stage)
        self.actors.append(actor)
        self.master.adopt(actor.child)
        return actor

    def serving(self) -> Actor:
        """One that has become the current one."""
        actor = self.actor()
        actor.channel.send(NEEDS)
        self.until(lambda: self.holdings.sockets)
        actor.channel.send({"type": "ready"})
        self.until(lambda: self.master.current is actor.child)
        while actor.channel.receive():
            pass
        return actor

    def until(self, condition: Callable[[], Any]) -> None:
        """Let the master work, a moment at least, until that is so."""

        def look() -> None:
            if condition():
                self.reactor.stop()
            else:
                self.reactor.later(0.001, look)

        self.reactor.later(0.01, look)
        self.reactor.run()

    def ends(self, actor: Actor) -> None:
        """The actor's process ends, and the master is told as SIGCHLD would."""
        actor.end()
        os.waitid(os.P_PID, actor.process.pid, os.WEXITED | os.WNOWAIT)
        self.master.caught(signal.SIGCHLD)
        actor.process.returncode = 0

    def close(self) -> None:
        for actor in self.actors:
            actor.end()
            actor.process.wait()
        self.holdings.close()
        self.reactor.close()


@pytest.fixture
def play() -> Iterator[Theatre]:
    made = Theatre()
    yield made
    made.close()


def test_a_generation_gets_its_sockets(play: Theatre) -> None:
    actor = play.actor()
    actor.channel.send(NEEDS)
    play.until(lambda: play.holdings.sockets)
    received = actor.take()
    assert received.message == {"type": "start", "state": None}
    [descriptor] = received.descriptors
    with socket.socket(fileno=descriptor) as sock, socket.create_connection(sock.getsockname()):
        sock.accept()[0].close()


def test_a_generation_asks_for_sockets_once(play: Theatre) -> None:
    """The master may be root: nobody who has met a client has it bind, or give away, anything."""
    actor = play.serving()
    elsewhere = ["127.0.0.1", 0, "", "listener.b.bind"]
    actor.channel.send({"type": "needs", "places": [["listener.b.bind", elsewhere, False]], "owner": [1, 1]})
    actor.channel.send({"type": "status", "text": "heard"})
    play.until(lambda: actor.child.headline == "heard")
    assert len(play.holdings.sockets) == 1


def test_the_next_one_gets_what_the_old_one_knew_and_then_the_old_one_retires(play: Theatre) -> None:
    old, new = play.serving(), play.actor()
    new.channel.send(NEEDS)
    play.until(lambda: new.child.wanted)
    assert old.heard() == "export"
    old.channel.send({"type": "state", "state": {"a": 1}})
    new.channel.send({"type": "ready"})
    play.until(lambda: play.master.current is new.child)
    assert new.take().message["state"] == {"a": 1}
    assert old.heard() == "retire"
    old.channel.send({"type": "relay", "message": {"type": "tally"}})
    play.until(lambda: True)
    assert new.take().message["message"] == {"type": "tally"}
    play.ends(old)
    assert new.take().message == {"type": "relayed", "generation": old.child.number, "message": {"type": "gone"}}


def test_a_generation_that_is_about_to_end_is_handed_on_like_any_other(
    play: Theatre, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its channel is at its end, and its process is not reaped yet."""
    old, _ = play.serving(), play.serving()
    old.channel.close()
    play.until(lambda: True)
    estates: list[Estate] = []
    monkeypatch.setattr(master, "become_next", estates.append)
    play.master.caught(signal.SIGUSR2)

    def rehearsed() -> bool:
        play.master.caught(signal.SIGCHLD)
        return bool(estates)

    play.until(rehearsed)
    assert [os.fstat(child.channel.fileno()) for child in estates[0].children]
    assert len(estates[0].children) == 2


def test_a_failed_start_leaves_the_old_one_and_is_reported(play: Theatre, caplog: pytest.LogCaptureFixture) -> None:
    old = play.serving()
    play.master.launch = lambda: None  # type: ignore[method-assign]  # no real generation
    old.channel.send({"type": "reload", "ticket": 5})
    play.until(lambda: old.child.ticket)
    new = play.actor()
    new.channel.send({"type": "failed", "problems": ["lb.toml: x: missing"]})
    play.until(lambda: new.child.problems)
    play.ends(new)
    assert play.master.current is old.child
    assert old.take().message == {"type": "reloaded", "ticket": 5, "problems": ["lb.toml: x: missing"]}
    assert "reload_failed" in caplog.text


@pytest.fixture
def managed() -> Iterator[tuple[Theatre, socket.socket]]:
    """The same under a service manager, whose socket is there too, with a watchdog of ten milliseconds."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"{folder}/notify")
        manager.setblocking(False)
        made = Theatre(NOTIFY_SOCKET=f"{folder}/notify", WATCHDOG_USEC="10000")
        yield made, manager
        made.close()


def notified(manager: socket.socket) -> list[str]:
    """Everything that the manager was told since."""
    found = []
    with suppress(BlockingIOError):
        while True:
            found.append(manager.recv(1000).decode())
    return found


def test_the_watchdog_hears_of_a_generation_that_answers_only(managed: tuple[Theatre, socket.socket]) -> None:
    play, manager = managed
    play.master.keep_alive()
    assert notified(manager) == ["WATCHDOG=1\n"], "there is no generation yet"
    actor = play.serving()
    notified(manager)
    heard: list[Received] = []

    def hears_three() -> bool:
        heard.extend(actor.channel.receive())
        return len(heard) > 2

    play.until(hears_three)
    assert {received.message["type"] for received in heard} == {"ping"}
    assert notified(manager) == []
    actor.channel.send({"type": "alive"})
    play.until(lambda: True)
    assert notified(manager) == ["WATCHDOG=1\n"]


def test_the_manager_hears_how_the_one_that_serves_is(managed: tuple[Theatre, socket.socket]) -> None:
    play, manager = managed
    old = play.serving()
    new = play.actor()
    notified(manager)
    new.channel.send({"type": "status", "text": "serving, 1 of 1"})
    old.channel.send({"type": "status", "text": "serving, 2 of 2"})
    play.until(lambda: old.child.headline == "serving, 2 of 2")
    assert notified(manager) == ["STATUS=serving, 2 of 2\n"]
    new.channel.send({"type": "failed", "problems": ["lb.toml: x: missing"]})
    play.until(lambda: new.child.problems)
    play.ends(new)
    failed = "the last reload failed: lb.toml: x: missing"
    assert notified(manager) == [f"READY=1\nSTATUS=serving, 2 of 2; {failed}\n"]
    old.channel.send({"type": "status", "text": "serving, 1 of 2"})
    play.until(lambda: old.child.headline == "serving, 1 of 2")
    assert notified(manager) == [f"STATUS=serving, 1 of 2; {failed}\n"]
    new = play.actor()
    new.channel.send({"type": "status", "text": "serving, 1 of 1"})
    new.channel.send({"type": "ready"})
    play.until(lambda: play.master.current is new.child)
    assert notified(manager) == ["READY=1\nSTATUS=serving, 1 of 1\n"]


def test_a_second_request_to_reload_is_refused_while_one_is_under_way(play: Theatre) -> None:
    old = play.serving()
    play.actor()
    old.channel.send({"type": "reload", "ticket": 1})
    play.until(lambda: True)
    message = old.take().message
    assert message["ticket"] == 1
    assert message["problems"]


def test_orders_go_from_the_one_that_serves_to_the_next(play: Theatre) -> None:
    old, new = play.serving(), play.actor()
    old.channel.send({"type": "relay", "message": {"type": "order"}})
    play.until(lambda: True)
    assert new.take().message == {"type": "relayed", "generation": 1, "message": {"type": "order"}}


def test_a_death_is_followed_by_a_launch(play: Theatre, caplog: pytest.LogCaptureFixture) -> None:
    launched: list[int] = []
    play.master.launch = lambda: launched.append(1)  # type: ignore[method-assign]
    with caplog.at_level(logging.ERROR):
        play.ends(play.serving())
    play.until(lambda: launched)
    assert "generation_died" in caplog.text


def test_the_first_one_that_cannot_start_ends_the_master(play: Theatre, capsys: pytest.CaptureFixture[str]) -> None:
    actor = play.actor()
    actor.channel.send({"type": "failed", "problems": ["lb.toml: x: missing"]})
    play.until(lambda: actor.child.problems)
    play.ends(actor)
    assert play.master.status == 1
    assert capsys.readouterr().err == "lbproxy: error: lb.toml: x: missing\n"


def test_stopping_drains_everybody_and_then_ends_them(play: Theatre) -> None:
    old, new = play.serving(), play.actor()
    play.master.stop(at_once=False)
    play.master.stop(at_once=True)
    assert [actor.heard() for actor in (old, new, old, new)] == ["drain", "drain", "end", "end"]
    play.ends(old)
    play.ends(new)
    assert not play.master.children
    assert play.master.status == 0
