"""What is read of messages that are whole, that lack something, and that a later version has sent."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

import pytest

from lbproxy.errors import MessageError
from lbproxy.process.ipc.message import Message, field
from lbproxy.process.ipc.messages import Conversation, build, encode, sample


class Stage(Enum):
    BEGUN = "begun"


class Point(NamedTuple):
    x: int
    name: str = ""


class Line(NamedTuple):
    start: Point
    end: Point


class Named(TypedDict):
    name: str


class Inner(Message):
    kind = "inner"
    stage: Stage


class Everything(Message):
    """A field of each type that messages have."""

    kind = "everything"
    number: int
    seconds: float
    text: str
    flag: bool
    anything: Any
    maybe: str | None
    lines: list[Line]
    named: list[Named]
    points: dict[str, Point]
    address: tuple[object, ...]
    inner: list[Inner]
    later: int = 7
    more: list[str] = field(default_factory=list)


class Nothing(Message):
    kind = "nothing"


TALK: Conversation[Everything | Nothing, Everything | Nothing] = Conversation(
    Everything | Nothing, Everything | Nothing
)
MESSAGE = Everything(
    1,
    2.5,
    "x",
    True,
    {"a": [1]},
    None,
    [Line(Point(1, "a"), Point(2))],
    [{"name": "n"}],
    {"p": Point(3)},
    ("127.0.0.1", 80),
    [Inner(Stage.BEGUN)],
)


@pytest.mark.parametrize("message", [MESSAGE, Nothing(), sample(Everything)])
def test_what_is_written_is_read(message: Everything | Nothing) -> None:
    assert TALK.decode(encode(message)) == message
    assert TALK.reverse().decode(encode(message)) == message


def test_on_the_channel_it_is_an_object_with_its_kind() -> None:
    assert json.loads(encode(MESSAGE))["type"] == "everything"
    assert encode(Nothing()) == b'{"type":"nothing"}'


def test_two_messages_without_fields_are_not_equal() -> None:
    assert len({Nothing(), Nothing(), MESSAGE.inner[0]}) == 2


def test_what_a_later_version_adds_is_ignored() -> None:
    found = json.loads(encode(MESSAGE))
    found["unheard_of"] = 1
    found["points"] = {"p": [3, "", "unheard of"]}
    assert TALK.from_fields(found) == MESSAGE


def test_what_an_earlier_version_does_not_have_is_as_by_default() -> None:
    found = json.loads(encode(MESSAGE))
    del found["later"], found["more"]
    assert TALK.from_fields(found) == MESSAGE


def test_an_unknown_kind_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    talk: Conversation[Nothing, Nothing] = Conversation(Nothing, Nothing)
    for kind in ("new", "new", "newer", ["not even", "text"]):
        assert talk.from_fields({"type": kind}) is None
    assert [(record.message, vars(record)["fields"]["message"]) for record in caplog.records] == [
        ("message_unknown", "new"),
        ("message_unknown", "newer"),
        ("message_unknown", "['not even', 'text']"),
    ]
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


def without(name: str) -> Callable[[dict[str, Any]], object]:
    return lambda found: found.pop(name)


def with_value(name: str, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda found: found.update({name: value})


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (without("number"), "message everything: number is missing"),
        (with_value("number", "1"), "message everything: number: str instead of int"),
        (with_value("number", True), "message everything: number: bool instead of int"),
        (with_value("number", None), "message everything: number: NoneType instead of int"),
        (with_value("seconds", "1"), "message everything: seconds: str instead of float"),
        (with_value("maybe", 1), "message everything: maybe: int instead of str"),
        (with_value("lines", {}), "message everything: lines: dict instead of list"),
        (with_value("lines", [[[1]]]), "message everything: lines: "),
        (with_value("lines", [[[1], ["x"]]]), "message everything: lines: str instead of int"),
        (with_value("named", [1]), "message everything: named: int instead of dict"),
        (with_value("points", []), "message everything: points: list instead of dict"),
        (with_value("address", "x"), "message everything: address: str instead of list"),
        (with_value("inner", [{}]), "message inner: stage is missing"),
        (with_value("inner", [{"stage": "ended"}]), "message inner: stage: 'ended' is not a valid Stage"),
    ],
)
def test_what_is_missing_or_of_another_type_is_named(change: Callable[[dict[str, Any]], object], problem: str) -> None:
    found = json.loads(encode(MESSAGE))
    change(found)
    with pytest.raises(MessageError) as raised:
        build(Everything, found)
    assert str(raised.value).startswith(problem)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b'"text"'])
def test_what_is_no_message_is_an_error(data: bytes) -> None:
    with pytest.raises(MessageError):
        TALK.decode(data)


def test_a_rehearsal_reads_a_sample_of_each() -> None:
    TALK.rehearse()

    class Broken(Message):
        kind = "broken"
        where: Path  # JSON has no such value

    broken: Conversation[Broken, Broken] = Conversation(Broken, Broken)
    with pytest.raises(MessageError, match="message broken: where"):
        broken.rehearse()
