from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from lbproxy.control.log import event
from lbproxy.control.log.logged_event import KEPT
from lbproxy.process.ipc.master_messages import Export, Logged, Ready, Start, State, ToGeneration
from tests.process.fake_generation import NEEDS, FakeMaster


@pytest.fixture
def play() -> Iterator[FakeMaster]:
    """A master whose own log has what the test says."""
    made = FakeMaster()
    yield made
    made.close()


def say(play: FakeMaster, *names: str) -> None:
    log = logging.Logger("lbproxy.test")
    log.addHandler(play.master.own_events)
    for name in names:
        event(log, logging.INFO, name)


def told(messages: list[ToGeneration]) -> list[str]:
    """The names of the events in them."""
    return [one.name for message in messages if isinstance(message, Logged) for one in message.events]


def test_the_one_that_serves_is_told(play: FakeMaster) -> None:
    actor = play.serving()
    say(play, "said")
    [message] = actor.heard_all()
    assert isinstance(message, Logged)
    assert [(one.name, one.level, one.process) for one in message.events] == [("said", "INFO", "master")]


def test_the_first_one_is_told_of_what_was_before_it(play: FakeMaster) -> None:
    say(play, "before")
    actor = play.actor()
    say(play, "still")
    actor.channel.send(NEEDS)
    play.until(lambda: actor.handle.provided)
    say(play, "after")
    heard = actor.heard_all()
    assert isinstance(heard[0], Start)
    assert told(heard) == ["before", "still", "after"]


def test_each_event_is_told_once_over_a_reload(play: FakeMaster) -> None:
    """What the old one heard before it was asked is in what it leaves to the new one."""
    old = play.serving()
    say(play, "reloading")
    new = play.actor()
    new.channel.send(NEEDS)
    play.until(lambda: new.handle.wanted)
    say(play, "between")
    old.channel.send(State({}))
    play.until(lambda: new.handle.provided)
    say(play, "later")
    new.channel.send(Ready())
    play.until(lambda: play.master.current is new.handle)
    say(play, "serves")
    heard = old.heard_all()
    assert told(heard[: heard.index(Export())]) == ["reloading"]
    assert told(heard) == ["reloading", "between", "later"]
    assert told(new.heard_all()) == ["between", "later", "serves"]


def test_one_of_a_version_that_does_not_know_them_is_not_told(play: FakeMaster) -> None:
    actor = play.serving()
    actor.handle.channel.protocol = 5
    say(play, "said")
    assert actor.heard_all() == []


def test_one_that_does_not_listen_costs_no_memory(play: FakeMaster) -> None:
    actor = play.serving()
    log = logging.Logger("lbproxy.test")
    log.addHandler(play.master.own_events)
    number = 0
    while actor.handle.channel.backlog < KEPT:
        event(log, logging.INFO, "tried", number=number, text="x" * 400)
        number += 1
    for _ in range(KEPT):
        event(log, logging.INFO, "too_much")
    assert actor.handle.channel.backlog == KEPT
    assert repr(play.master.own_events) == f"<{KEPT} events since the last export>"
