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


@pytest.mark.parametrize(
    ("weight", "turns"), [(0.5, "abc ab abc ab abc ab"), (0.25, "ab ab ab abc ab ab ab abc"), (1.0, "abc abc")]
)
def test_a_member_with_part_of_a_turn_passes_the_others_on(weight: float, turns: str) -> None:
    """Every other round, or every fourth: evenly, and the others go on taking turns."""
    rotation = rotation_of(backends("abc"))
    rotation.weigh(rotation.members[2], weight)
    if weight == 0.5:
        assert picks(rotation, 2) == "ab"
    expected = turns.replace(" ", "")
    assert picks(rotation, len(expected)) == expected


@given(st.lists(st.floats(0.1, 1.0), max_size=5))
def test_turns_are_in_proportion_to_the_weights(weights: list[float]) -> None:
    """With one that has a full turn, each has its weight's part of as many turns, to within one."""
    rotation = rotation_of(backends("abcdef"[: len(weights) + 1]))
    full, *others = rotation.members
    for backend, weight in zip(others, weights, strict=True):
        rotation.weigh(backend, weight)
    count = Counter(rotation.pick() for _ in range(200))
    for backend, weight in zip(others, weights, strict=True):
        assert abs(count[backend] - weight * count[full]) <= 1.0 + weight + 1e-9


def test_with_nobody_at_full_weight_the_weights_are_relative() -> None:
    a, b = backends("ab")
    rotation = rotation_of([a, b])
    rotation.weigh(a, 0.125)
    rotation.weigh(b, 0.25)
    assert Counter(picks(rotation, 300)) == {"a": 100, "b": 200}
    rotation.remove(b)
    assert picks(rotation, 3) == "aaa"


def test_a_request_that_failed_elsewhere_is_taken_whatever_the_weight() -> None:
    a, b, c = backends("abc")
    rotation = rotation_of([a, b, c])
    rotation.weigh(c, 0.1)
    assert rotation.pick((a, b)) is c
    assert rotation.pick((a, b, c)) is None
    assert rotation.pick((a,)) is b


def test_what_a_member_has_saved_goes_with_it() -> None:
    a, b = backends("ab")
    rotation = rotation_of([a, b])
    rotation.weigh(b, 0.5)
    assert picks(rotation, 2) == "aa"
    rotation.remove(b)
    rotation.add(b)
    assert picks(rotation, 4) == "abab", "it comes with its full weight"


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
