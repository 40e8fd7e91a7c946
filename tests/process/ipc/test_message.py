"""What a declared message does: as a frozen dataclass, at a fraction of the cost of declaring one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lbproxy.process.ipc.message import Message, field


class Told(Message):
    kind = "told"
    text: str
    times: int = 1
    to: list[str] = field(default_factory=list)


class Later(Told):
    kind = "later"
    since = 2
    at: float = 0.0


def test_fields_are_given_by_place_or_by_name() -> None:
    message = Told("x", to=["a"])
    assert (message.text, message.times, message.to) == ("x", 1, ["a"])
    assert message == Told(text="x", times=1, to=["a"])
    assert message != Told("x") != Later("x")
    assert (Told.kind, Told.since, Later.since, Later.fields) == ("told", 1, 2, ("text", "times", "to", "at"))


def test_a_default_is_no_others() -> None:
    assert Told("x").to is not Told("x").to


def test_it_is_matched_by_place() -> None:
    match Told("x", 2):
        case Told(text, times):
            assert (text, times) == ("x", 2)
        case _:
            raise AssertionError


def test_it_does_not_change() -> None:
    message = Told("x")
    with pytest.raises(AttributeError, match=r"Told\.text"):
        message.text = "y"  # type: ignore[misc]
    with pytest.raises(AttributeError, match=r"Told\.text"):
        del message.text
    assert message.but(text="y") == Told("y")
    assert message == Told("x")


def test_it_shows_its_fields() -> None:
    assert repr(Told("x", 2)) == "Told(text='x', times=2, to=[])"


@pytest.mark.parametrize(
    ("values", "named"), [((), {}), (("x", 1, [], 2), {}), (("x",), {"text": "y"}), (("x",), {"other": 1})]
)
def test_fields_that_are_missing_or_not_there_are_errors(values: tuple[object, ...], named: dict[str, object]) -> None:
    with pytest.raises(TypeError, match="Told"):
        Told(*values, **named)  # type: ignore[arg-type]


def test_a_process_that_only_talks_does_without_dataclasses() -> None:
    code = "import sys, lbproxy.process.ipc.master_messages; print('dataclasses' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
