"""What the release before has really sent, and the state that its master has left: recorded, and read here.

`release_before.json` is from commit 5f77af4: one message of each kind, of a master, three generations and an upgrade.
Both releases as processes are in tests/e2e/test_release_before.py.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from lbproxy.process.generation.handover_formats import understood
from lbproxy.process.ipc.master_messages import BETWEEN_GENERATIONS, WITH_GENERATION, WITH_MASTER, Relay, Relayed
from lbproxy.process.ipc.messages import build, to_fields
from lbproxy.process.master.generation_handle import Stage
from lbproxy.process.master.reexec import ReexecRecord
from lbproxy.process.rehearsal import rehearse

RECORDED: dict[str, Any] = json.loads(Path(__file__).with_name("release_before.json").read_text())


def names(messages: list[dict[str, Any]]) -> list[str]:
    """For pytest: each once."""
    return [f"{number}-{message['type']}" for number, message in enumerate(messages)]


def keeps(recorded: Any, now: Any) -> bool:
    """Whether all that was recorded is in what is written now. Objects may have new fields, lists no new items.

    That release unpacks lists, such as a place that is wanted, into a number of names.
    """
    if isinstance(recorded, dict):
        return all(key in now and keeps(value, now[key]) for key, value in recorded.items())
    if isinstance(recorded, list):
        return len(recorded) == len(now) and all(map(keeps, recorded, now))
    return bool(recorded == now)


@pytest.mark.parametrize("said", RECORDED["from_generation"], ids=names(RECORDED["from_generation"]))
def test_the_master_reads_its_generations(said: dict[str, Any]) -> None:
    message = WITH_GENERATION.from_fields(said)
    assert message is not None
    assert keeps(said, json.loads(json.dumps(to_fields(message))))
    if isinstance(message, Relay):
        assert BETWEEN_GENERATIONS.from_fields(message.message) is not None


@pytest.mark.parametrize("said", RECORDED["from_master"], ids=names(RECORDED["from_master"]))
def test_a_generation_reads_its_master(said: dict[str, Any]) -> None:
    message = WITH_MASTER.from_fields(said)
    assert message is not None
    assert keeps(said, json.loads(json.dumps(to_fields(message))))
    if isinstance(message, Relayed):
        assert BETWEEN_GENERATIONS.from_fields(message.message) is not None


def test_one_that_has_not_greeted_is_of_the_first_version() -> None:
    for recorded, conversation in (("from_generation", WITH_GENERATION), ("from_master", WITH_MASTER)):
        greetings = [one for one in RECORDED[recorded] if one["type"] in ("needs", "start")]
        assert {getattr(conversation.from_fields(one), "protocol", None) for one in greetings} == {1}


def test_a_master_can_become_this_program() -> None:
    state = os.memfd_create("state")
    os.write(state, json.dumps(RECORDED["reexec"]).encode())
    rehearse(state)  # which closes it
    record = build(ReexecRecord, RECORDED["reexec"])
    [child] = record.children
    assert (child.stage, child.protocol) == (Stage.SERVING, 1)
    assert [place.key for place in child.wanted] == ["listener.login.bind", "admin.bind"]
    assert len(record.sockets) == 2


def test_what_its_generation_knew_is_gone_on_with() -> None:
    """The first backend was drained by an operator."""
    [left] = [message["state"] for message in RECORDED["from_generation"] if message["type"] == "state"]
    state = understood(left)
    assert state is not None
    assert state["started"] == left["started"]
    assert state["accounts"] == left["accounts"]
