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


def weighted(**weights: int) -> Rotation:
    return rotation_of([Backend(name, f"http://{name}:80", weight) for name, weight in weights.items()])


@pytest.mark.parametrize(
    ("weights", "turns"),
    [
        ({"a": 5, "b": 1, "c": 1}, "aabaaac"),
        ({"a": 2, "b": 1}, "aba"),
        ({"a": 3, "b": 3, "c": 3}, "abc"),
        ({"a": 1, "b": 2, "c": 3}, "bcacbc"),
        ({"a": 100, "b": 50}, "aba"),
    ],
)
def test_turns_are_spread_over_the_round(weights: dict[str, int], turns: str) -> None:
    """Exactly as often as the weights say, and the same in every round."""
    rotation = weighted(**weights)
    assert picks(rotation, 3 * len(turns)) == 3 * turns


@given(st.lists(st.integers(1, 100), min_size=1, max_size=6))
def test_each_round_has_each_member_as_often_as_its_weight(weights: list[int]) -> None:
    rotation = weighted(**dict(zip("abcdef", weights, strict=False)))
    for _ in range(3):
        count = Counter(rotation.pick() for _ in range(sum(weights)))
        assert [count[member] for member in rotation.members] == [member.weight for member in rotation.members] or (
            len(set(weights)) == 1
        )
    if len(set(weights)) == 1:
        assert max(Counter(rotation.pick() for _ in range(10 * len(weights))).values()) == 10


def ramped(rotation: Rotation, backend: Backend, ramp: float) -> None:
    backend.ramp = ramp
    rotation.weigh(backend)


@given(st.lists(st.floats(0.1, 1.0), max_size=5))
def test_turns_are_in_proportion_to_the_ramps(ramps: list[float]) -> None:
    """Each has its part of as many turns as one with all of them, to within one, and a hundredth of its turns."""
    rotation = rotation_of(backends("abcdef"[: len(ramps) + 1]))
    full, *others = rotation.members
    for backend, ramp in zip(others, ramps, strict=True):
        ramped(rotation, backend, ramp)
    count = Counter(rotation.pick() for _ in range(200))
    for backend, ramp in zip(others, ramps, strict=True):
        assert abs(count[backend] - round(ramp, 2) * count[full]) <= 1.0 + ramp + 1e-9


def test_a_request_that_failed_elsewhere_is_taken_whatever_the_share() -> None:
    a, b, c = backends("abc")
    rotation = rotation_of([a, b, c])
    ramped(rotation, c, 0.1)
    assert rotation.pick((a, b)) is c
    assert rotation.pick((a, b, c)) is None
    assert rotation.pick((a,)) is b


def test_a_new_share_counts_from_now_on_and_equal_ones_are_round_robin_again() -> None:
    a, b = backends("ab")
    rotation = rotation_of([a, b])
    b.weight = 3
    rotation.weigh(b)
    assert (rotation.weighted, Counter(picks(rotation, 40))) == (True, {"b": 30, "a": 10})
    a.weight = 3
    rotation.weigh(a)
    assert (rotation.weighted, picks(rotation, 2) * 2) == (False, picks(rotation, 4))


def test_members_with_shares_come_and_go() -> None:
    a, b, c = backends("abc")
    a.weight = 4
    rotation = rotation_of([a, b])
    picks(rotation, 3)
    rotation.remove(a)
    assert (rotation.weighted, picks(rotation, 2)) == (False, "bb")
    rotation.add(a)
    rotation.add(c)
    assert Counter(picks(rotation, 60)) == {"a": 40, "b": 10, "c": 10}


def test_a_heap_does_not_grow_with_changes() -> None:
    a, b = backends("ab")
    rotation = rotation_of([a, b])
    for weight in range(2, 1002):
        a.weight = 2 + weight % 99
        rotation.weigh(a)
    assert len(rotation._heap) <= 20


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
