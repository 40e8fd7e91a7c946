from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.balance.backend import Backend
from lbproxy.balance.rotation import Rotation


def backends(names: str) -> list[Backend]:
    return [Backend(name, f"http://{name}:80") for name in names]


def rotation_of(members: list[Backend]) -> Rotation:
    rotation = Rotation()
    for backend in members:
        rotation.add(backend)
    return rotation


def picks(rotation: Rotation, count: int) -> str:
    found = [rotation.pick() for _ in range(count)]
    return "".join(backend.name if backend else "-" for backend in found)


def test_an_empty_rotation_has_nobody() -> None:
    assert Rotation().pick() is None
    assert Rotation().pick(backends("a")) is None


def test_members_take_turns() -> None:
    assert picks(rotation_of(backends("abc")), 7) == "abcabca"


@pytest.mark.parametrize(
    ("before", "leaver", "after"),
    [(0, "a", "bcdbcd"), (2, "a", "cdbcdb"), (2, "b", "cdacda"), (2, "c", "dabdab"), (2, "d", "cabcab")],
)
def test_a_removal_skips_and_doubles_nobody_in_the_round(before: int, leaver: str, after: str) -> None:
    a, b, c, d = backends("abcd")
    rotation = rotation_of([a, b, c, d])
    picks(rotation, before)
    rotation.remove({"a": a, "b": b, "c": c, "d": d}[leaver])
    assert picks(rotation, 6) == after


def test_a_newcomer_waits_for_everybody_who_waits_already() -> None:
    a, b, c, d = backends("abcd")
    rotation = rotation_of([a, b, c])
    assert picks(rotation, 1) == "a"
    rotation.add(d)
    assert picks(rotation, 8) == "bcadbcad"


def test_one_that_comes_and_goes_all_the_time_starves_nobody() -> None:
    a, b, flapping = backends("abf")
    rotation = rotation_of([a, b, flapping])
    count = Counter[str]()
    for _ in range(30):
        count[picks(rotation, 1)] += 1
        rotation.remove(flapping)
        rotation.add(flapping)
    assert count["a"] == count["b"] == 15


def test_tried_members_are_skipped_and_keep_their_place() -> None:
    a, b, c = backends("abc")
    rotation = rotation_of([a, b, c])
    assert rotation.pick({a, b}) is c
    assert picks(rotation, 3) == "abc"
    assert rotation.pick((a, b, c)) is None
    assert picks(rotation, 3) == "abc"


def test_removing_a_stranger_is_an_error() -> None:
    (stranger,) = backends("x")
    with pytest.raises(ValueError, match=r"."):
        rotation_of(backends("abc")).remove(stranger)


def test_it_can_be_looked_at() -> None:
    a, b, c = backends("abc")
    rotation = rotation_of([a, b])
    rotation.pick()
    assert (rotation.members, len(rotation), a in rotation, c in rotation) == ((b, a), 2, True, False)
    assert repr(rotation) == "<rotation b a>"
    assert repr(Rotation()) == "<rotation empty>"


@given(st.lists(st.tuples(st.sampled_from("+-p"), st.integers(0, 9)), max_size=60))
def test_after_any_history_a_round_has_each_member_once(history: list[tuple[str, int]]) -> None:
    everybody = backends("abcdefghij")
    rotation = rotation_of(everybody[:5])
    for action, index in history:
        backend = everybody[index]
        if action == "p":
            rotation.pick()
        elif action == "+" and backend not in rotation:
            rotation.add(backend)
        elif action == "-" and backend in rotation:
            rotation.remove(backend)
    members = rotation.members
    assert tuple(rotation.pick() for _ in members) == members
