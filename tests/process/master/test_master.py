"""What the master does; the test plays the generations, at the other ends of their channels.

Real ones, and their signals, are in tests/e2e/test_reload.py.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from unittest.mock import ANY

import pytest

from lbproxy.process.ipc.master_messages import (
    GONE,
    ORPHANED,
    Alive,
    Drain,
    End,
    Failed,
    Needs,
    Operated,
    Order,
    Ping,
    Ready,
    Relay,
    Relayed,
    Reload,
    Reloaded,
    ReloadFailed,
    Reopen,
    Retire,
    Signal,
    Start,
    State,
    Status,
    Tally,
    ToGeneration,
)
from lbproxy.process.ipc.messages import PROTOCOL, to_fields
from lbproxy.process.ipc.restart_backoff import RestartBackoff
from lbproxy.process.master import master, upgrade
from lbproxy.process.master.generation_handle import GenerationHandle, Stage
from lbproxy.process.master.listening_sockets import Owner, Place, Wanted
from lbproxy.process.master.master import SIGNALS
from lbproxy.process.master.reexec import ReexecState
from tests.process.fake_generation import NEEDS, Actor, FakeMaster

TALLY = to_fields(Tally({}))


@pytest.fixture
def play() -> Iterator[FakeMaster]:
    made = FakeMaster()
    yield made
    made.close()


def test_a_generation_gets_its_sockets(play: FakeMaster) -> None:
    actor = play.actor()
    actor.channel.send(NEEDS)
    play.until(lambda: play.held_sockets.sockets)
    received = actor.take()
    assert received.message == Start(None, PROTOCOL)
    [descriptor] = received.descriptors
    with socket.socket(fileno=descriptor) as sock, socket.create_connection(sock.getsockname()):
        sock.accept()[0].close()


def test_a_generation_asks_for_sockets_once(play: FakeMaster) -> None:
    """The master may be root: nobody who has met a client has it bind, or give away, anything."""
    actor = play.serving()
    elsewhere = Place("127.0.0.1", 0, "", "listener.b.bind")
    actor.channel.send(Needs([Wanted("listener.b.bind", elsewhere)], Owner(1, 1)))
    actor.channel.send(Status("heard"))
    play.until(lambda: actor.handle.status_line == "heard")
    assert len(play.held_sockets.sockets) == 1


def test_the_next_one_gets_what_the_old_one_knew_and_then_the_old_one_retires(play: FakeMaster) -> None:
    old, new = play.asked()
    old.channel.send(State({"a": 1}))
    new.channel.send(Ready())
    play.until(lambda: play.master.current is new.handle)
    assert new.heard() == Start({"a": 1}, PROTOCOL)
    assert old.heard() == Retire()
    old.channel.send(Relay(TALLY))
    play.until(lambda: True)
    assert new.heard() == Relayed(old.handle.number, TALLY)
    play.ends(old)
    assert new.heard() == Relayed(old.handle.number, GONE)


def test_a_generation_that_is_about_to_end_is_handed_on_like_any_other(
    play: FakeMaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its channel is at its end, and its process is not reaped yet."""
    old, _ = play.serving(), play.serving()
    old.channel.close()
    play.until(lambda: True)
    reexec_states: list[ReexecState] = []
    monkeypatch.setattr(upgrade, "become_next", reexec_states.append)
    play.master.caught(signal.SIGUSR2)

    def rehearsed() -> bool:
        play.master.caught(signal.SIGCHLD)
        return bool(reexec_states)

    play.until(rehearsed)
    assert [os.fstat(handle.channel.fileno()) for handle in reexec_states[0].handles]
    assert len(reexec_states[0].handles) == 2


def test_a_failed_start_leaves_the_old_one_and_is_reported(play: FakeMaster, caplog: pytest.LogCaptureFixture) -> None:
    old = play.serving()
    play.master.launch = lambda: None  # type: ignore[method-assign]  # no real generation
    old.channel.send(Reload(5))
    play.until(lambda: old.handle.ticket)
    new = play.actor()
    new.channel.send(Failed(["lb.toml: x: missing"]))
    play.until(lambda: new.handle.problems)
    play.ends(new)
    assert play.master.current is old.handle
    assert old.heard() == Reloaded(5, ["lb.toml: x: missing"])
    assert isinstance(old.heard(), ReloadFailed)
    assert "reload_failed" in caplog.text


@pytest.mark.parametrize(("kind", "why"), [
    ("needs", "generation 2 cannot be understood: message needs: places is missing"),
    ("state", "generation 1 cannot be understood: message state: state is missing"),
])  # fmt: skip
def test_what_a_start_waits_for_and_cannot_be_read_fails_at_once(play: FakeMaster, kind: str, why: str) -> None:
    """With the reason: nothing else would end it before START_WITHIN."""
    if kind == "needs":
        old, new = play.serving(), play.actor()
        new.mumble(kind)
    else:
        old, new = play.asked()
        old.mumble(kind)
    play.until(lambda: new.handle.problems)
    assert new.handle.problems == [why]
    assert new.heard() == End()
    play.ends(new)
    assert play.master.current is old.handle
    assert old.heard() == ReloadFailed([why], ANY)


def test_what_cannot_be_read_and_nobody_waits_for_is_left_out(play: FakeMaster) -> None:
    old, new = play.asked()
    old.channel.send(State({}))
    play.until(lambda: new.handle.provided)
    new.mumble("status")
    new.channel.send(Status("goes on"))
    play.until(lambda: new.handle.status_line == "goes on")
    assert new.handle.problems == []


@pytest.fixture
def managed() -> Iterator[tuple[FakeMaster, socket.socket]]:
    """The same under a service manager, whose socket is there too, with a watchdog of ten milliseconds."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"{folder}/notify")
        manager.setblocking(False)
        made = FakeMaster(NOTIFY_SOCKET=f"{folder}/notify", WATCHDOG_USEC="10000")
        yield made, manager
        made.close()


def notified(manager: socket.socket) -> list[str]:
    """Everything that the manager was told since."""
    found = []
    with suppress(BlockingIOError):
        while True:
            found.append(manager.recv(1000).decode())
    return found


def test_the_watchdog_hears_of_a_generation_that_answers_only(managed: tuple[FakeMaster, socket.socket]) -> None:
    play, manager = managed
    play.master.keep_alive()
    assert notified(manager) == ["WATCHDOG=1\n"], "there is no generation yet"
    actor = play.serving()
    notified(manager)
    heard: list[ToGeneration] = []

    def hears_three() -> bool:
        heard.extend(actor.heard_all())
        return len(heard) > 2

    play.until(hears_three)
    assert all(message == Ping() for message in heard)
    assert notified(manager) == []
    actor.channel.send(Alive())
    play.until(lambda: True)
    assert notified(manager) == ["WATCHDOG=1\n"]


def test_the_manager_hears_how_the_one_that_serves_is(managed: tuple[FakeMaster, socket.socket]) -> None:
    play, manager = managed
    old = play.serving()
    new = play.actor()
    notified(manager)
    new.channel.send(Status("serving, 1 of 1"))
    old.channel.send(Status("serving, 2 of 2"))
    play.until(lambda: old.handle.status_line == "serving, 2 of 2")
    assert notified(manager) == ["STATUS=serving, 2 of 2\n"]
    new.channel.send(Failed(["lb.toml: x: missing"]))
    play.until(lambda: new.handle.problems)
    play.ends(new)
    assert notified(manager) == ["READY=1\nSTATUS=serving, 2 of 2\n"]
    new = play.actor()
    new.channel.send(Status("serving, 1 of 1"))
    new.channel.send(Ready())
    play.until(lambda: play.master.current is new.handle)
    assert notified(manager) == ["READY=1\nSTATUS=serving, 1 of 1\n"]


def test_the_one_that_goes_on_serving_hears_why(play: FakeMaster) -> None:
    """It is the one that shows it."""
    old, new = play.serving(), play.actor()
    new.channel.send(Failed(["lb.toml: x: missing", "lb.toml: y: missing"]))
    play.until(lambda: new.handle.problems)
    before = time.time()
    play.ends(new)
    told = old.heard()
    assert isinstance(told, ReloadFailed)
    assert before <= told.ended <= time.time()
    assert told.problems == ["lb.toml: x: missing", "lb.toml: y: missing"]


# --- signals that a generation got


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_who_ends_a_generation_ends_it_all(play: FakeMaster, number: signal.Signals) -> None:
    """And none is launched in its place, though it may have ended by then."""
    actor = play.serving()
    actor.channel.send(Signal(number))
    play.ends(actor)
    assert (play.master.handles, play.master.status) == ({}, 0)
    play.reactor.run()  # it was told to stop


def test_term_for_the_whole_group_is_one_term(play: FakeMaster) -> None:
    """It drains, in whatever order it comes; a second one to the master ends at once."""
    actor = play.serving()
    actor.channel.send(Signal(signal.SIGTERM))
    play.until(lambda: actor.heard_all() == [Drain()])
    play.master.caught(signal.SIGTERM)
    actor.channel.send(Signal(signal.SIGTERM))
    play.until(lambda: True)
    assert set(actor.heard_all()) == {Drain()}
    play.master.caught(signal.SIGTERM)
    assert actor.heard_all() == [End()]


def test_other_signals_do_what_they_do_to_the_master(play: FakeMaster, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr(play.master, "reload", lambda: done.append("reload"))
    monkeypatch.setattr(play.master._upgrade, "begin", lambda: done.append("upgrade"))
    actor = play.serving()
    for number in (signal.SIGHUP, signal.SIGUSR2, signal.SIGUSR1, signal.SIGKILL, signal.SIGCHLD, 0, 999):
        actor.channel.send(Signal(number))
    play.until(lambda: actor.heard_all() == [Reopen()])
    assert done == ["reload", "upgrade"]


def test_a_second_request_to_reload_is_refused_while_one_is_under_way(play: FakeMaster) -> None:
    old = play.serving()
    play.actor()
    old.channel.send(Reload(1))
    play.until(lambda: True)
    message = old.heard()
    assert isinstance(message, Reloaded)
    assert message.ticket == 1
    assert message.problems


def test_orders_go_from_the_one_that_serves_to_the_next(play: FakeMaster) -> None:
    old, new = play.serving(), play.actor()
    order = to_fields(Order("p", "c1", draining=True))
    old.channel.send(Relay(order))
    play.until(lambda: True)
    assert new.heard() == Relayed(1, order)


def test_what_operators_say_goes_to_old_ones_too_that_can_read_it(play: FakeMaster) -> None:
    oldest, older, serving, coming = play.serving(), play.serving(), play.serving(), play.actor()
    oldest.handle.channel.protocol = Operated.since - 1
    for actor in (oldest, older, serving):
        actor.heard_all()
    said = to_fields(Operated("p", "c1", {}))
    serving.channel.send(Relay(said))
    play.until(lambda: True)
    assert [actor.heard_all() for actor in (oldest, older, serving, coming)] == [
        [],
        [Relayed(3, said)],
        [],
        [Relayed(3, said)],
    ]
    serving.channel.send(Relay(TALLY))
    play.until(lambda: True)
    assert [actor.heard_all() for actor in (older, coming)] == [[], [Relayed(3, TALLY)]]


def test_a_death_is_followed_by_a_launch(play: FakeMaster, caplog: pytest.LogCaptureFixture) -> None:
    launched: list[int] = []
    play.master.launch = lambda: launched.append(1)  # type: ignore[method-assign]
    with caplog.at_level(logging.ERROR):
        play.ends(play.serving())
    play.until(lambda: launched)
    assert "generation_died" in caplog.text


def test_the_first_one_that_cannot_start_ends_the_master(play: FakeMaster, capsys: pytest.CaptureFixture[str]) -> None:
    actor = play.actor()
    actor.channel.send(Failed(["lb.toml: x: missing"]))
    play.until(lambda: actor.handle.problems)
    play.ends(actor)
    assert play.master.status == 1
    assert capsys.readouterr().err == "lbproxy: error: lb.toml: x: missing\n"


def test_stopping_drains_everybody_and_then_ends_them(play: FakeMaster) -> None:
    old, new = play.serving(), play.actor()
    play.master.stop(at_once=False)
    play.master.stop(at_once=True)
    assert [actor.heard() for actor in (old, new, old, new)] == [Drain(), Drain(), End(), End()]
    play.ends(old)
    play.ends(new)
    assert not play.master.handles
    assert play.master.status == 0


# --- in the middle of something


def test_who_waits_for_what_a_dead_one_knew_begins_without(play: FakeMaster) -> None:
    """Until it serves, nobody does."""
    old, new = play.asked()
    play.ends(old)
    play.until(lambda: new.handle.provided)
    while not isinstance((received := new.take()).message, Start):
        pass
    assert received.message.state is None
    for descriptor in received.descriptors:
        os.close(descriptor)


def test_who_was_told_to_end_begins_nothing(play: FakeMaster) -> None:
    """An address was taken; and then the one that serves dies."""
    old, new = play.serving(), play.actor()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = Place("127.0.0.1", taken.getsockname()[1])
        new.channel.send(NEEDS.but(places=[Wanted("listener.b.bind", place)]))
        play.until(lambda: new.handle.problems)
        play.ends(old)
    assert new.heard_all()[0] == End()
    assert not new.handle.provided


def test_an_answer_that_comes_too_late_starts_nobody_else(play: FakeMaster) -> None:
    old, new = play.asked()
    play.ends(new)
    following = play.actor()
    old.channel.send(State({}))
    old.channel.send(Status("heard"))
    play.until(lambda: old.handle.status_line == "heard")
    assert following.heard_all() == []


def test_the_next_one_hears_who_ended_while_it_started(play: FakeMaster) -> None:
    """Before and after the one that serves was asked: what these had open is not counted for ever."""
    oldest, older = play.serving(), play.serving()
    old, new = play.asked()
    play.ends(oldest)
    old.channel.send(State({}))
    play.until(lambda: new.handle.provided)
    while not isinstance(new.heard(), Start):
        pass
    assert new.heard() == Relayed(oldest.handle.number, GONE)
    older.channel.send(Relay(TALLY))
    play.until(lambda: True)
    play.ends(older)
    play.ends(old)
    assert [new.heard() for _ in range(3)] == [
        Relayed(older.handle.number, TALLY),
        Relayed(older.handle.number, GONE),
        Relayed(old.handle.number, GONE),
    ]


def test_workers_of_a_killed_generation_are_told_of_until_they_end(play: FakeMaster) -> None:
    """To the next one, with what it starts from, and to all after it."""
    old, new = play.serving(), play.actor()
    old.handle.lifeline, workers = os.pipe()
    play.kill(old)
    assert new.heard() == Relayed(1, ORPHANED)
    new.channel.send(NEEDS)
    play.until(lambda: new.handle.provided)
    assert [new.heard() for _ in range(2)] == [Start(None, PROTOCOL), Relayed(1, ORPHANED)]
    os.close(workers)
    play.until(lambda: not play.master.endings.orphans)
    assert new.heard() == Relayed(1, GONE)


def test_who_ended_before_it_served_is_counted_no_more(play: FakeMaster) -> None:
    """It was told to end, and so told what it had counted."""
    old, new = play.asked()
    new.channel.send(Relay(TALLY))
    play.until(lambda: True)
    play.ends(new)
    relayed = [message for message in old.heard_all() if isinstance(message, Relayed)]
    assert [message.message for message in relayed] == [TALLY, GONE]


def test_nobody_is_launched_for_one_that_was_replaced_meanwhile(
    play: FakeMaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched: list[int] = []
    monkeypatch.setattr(GenerationHandle, "start", lambda number, *_: launched.append(number))
    monkeypatch.setattr(RestartBackoff, "happened", lambda *_: (2, 0.05))
    play.ends(play.serving())
    play.serving()
    play.reactor.later(0.05, play.reactor.stop)
    play.reactor.run()
    assert not launched


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR2])
def test_a_program_that_cannot_be_run_leaves_the_old_one(
    play: FakeMaster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, number: signal.Signals
) -> None:
    old = play.serving()
    monkeypatch.setattr(sys, "executable", "/nonexistent")
    play.master.caught(number)
    assert play.master.current is old.handle
    assert {signal.SIGHUP: "reload_failed", signal.SIGUSR2: "upgrade_refused"}[number] in caplog.text


def test_where_none_can_be_run_it_is_tried_again(
    play: FakeMaster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    old = play.serving()
    monkeypatch.setattr(sys, "executable", "/nonexistent")
    play.ends(old)
    play.until(lambda: caplog.text.count("generation_died") == 2)
    assert not play.master.handles


def test_where_the_file_is_bad_what_was_served_last_is_served_again(
    play: FakeMaster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The file is tried first, and then by turns."""
    texts: list[str] = []

    def start(number: int, _: object, text: str) -> GenerationHandle:
        texts.append(text)
        play.actors.append(Actor(number, Stage.STARTING))
        return play.actors[-1].handle

    monkeypatch.setattr(GenerationHandle, "start", start)
    monkeypatch.setattr(RestartBackoff, "happened", lambda *_: (1, 0.0))
    play.ends(play.serving("good"))

    def fails(count: int) -> None:
        play.until(lambda: len(texts) == count)
        last = play.actors[-1]
        last.channel.send(Failed([f"x: missing {count}"]))
        play.until(lambda: last.handle.problems)
        play.ends(last)

    for count in (1, 2, 3):
        fails(count)
    play.until(lambda: len(texts) == 4)
    assert texts == ["", "good", "", "good"]
    last = play.actors[-1]
    last.channel.send(NEEDS.but(text="good"))
    last.channel.send(Ready())
    play.until(lambda: play.master.current is last.handle)
    [told] = [message for message in last.heard_all() if isinstance(message, ReloadFailed)]
    assert told.problems == ["x: missing 3"]
    assert "last_good_served" in caplog.messages


def test_where_not_even_the_first_can_be_run_the_master_ends(
    play: FakeMaster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent")
    play.master.launch()
    play.reactor.run()
    assert play.master.status == 1
    assert capsys.readouterr().err == "lbproxy: error: cannot run /nonexistent: No such file or directory\n"


def test_a_stop_is_not_lost_in_an_upgrade(play: FakeMaster, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes together with the end of the rehearsal."""
    upgrades: list[ReexecState] = []
    monkeypatch.setattr(upgrade, "become_next", upgrades.append)
    before = {number: signal.getsignal(number) for number in SIGNALS}
    play.serving()
    play.reactor.signals(SIGNALS, play.master.caught)
    play.master.caught(signal.SIGUSR2)
    os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
    play.until(lambda: play.actors[0].heard_all() == [Drain()])
    play.until(lambda: True)
    for number, handler in before.items():
        signal.signal(number, handler)
    assert not upgrades


def test_a_program_that_hangs_is_no_program_to_become(
    play: FakeMaster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(upgrade, "command", lambda *_: [sys.executable, "-c", "import signal; signal.pause()"])
    monkeypatch.setattr(upgrade, "REHEARSE_WITHIN", 0.0)
    play.serving()
    play.master.caught(signal.SIGUSR2)

    def refused() -> bool:
        play.master.caught(signal.SIGCHLD)
        return "upgrade_refused" in caplog.messages

    play.until(refused)


def test_who_asked_for_a_reload_hears_that_lbproxy_stops(play: FakeMaster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(play.master, "launch", lambda: None)
    old = play.serving()
    old.channel.send(Reload(5))
    play.until(lambda: old.handle.ticket)
    new = play.actor()
    play.master.stop(at_once=False)
    new.channel.send(NEEDS)
    play.ends(new)
    assert old.heard() == Reloaded(5, ["lbproxy is stopping"])
    assert old.heard_all()[0] == Drain()


def test_who_is_late_is_not_taken_for_another_with_its_process_id(
    play: FakeMaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = play.serving()
    monkeypatch.setattr(master, "START_WITHIN", 0.0)
    killed: list[int] = []
    monkeypatch.setattr(GenerationHandle, "kill", lambda handle: killed.append(handle.pid))
    new = play.actor()
    play.master.handles[new.handle.pid] = old.handle
    play.until(lambda: True)
    play.master.handles[new.handle.pid] = new.handle
    assert not killed
