from __future__ import annotations

import json
from itertools import pairwise

import pytest

from lbproxy.control.fleet.ticket_ring import LIFE, ROTATE, TicketKey, TicketRing

WALL = 1_795_246_800.0


def key(number: int, made: float = WALL) -> TicketKey:
    return TicketKey(bytes([number]) * 32, made)


def ring(*numbers: int, now: float = 0.0, made: float = WALL) -> TicketRing:
    """As it is after a start at `now`."""
    found = TicketRing()
    found.see({number: key(number, made) for number in numbers}, now)
    return found


@pytest.mark.parametrize(
    ("numbers", "sealing", "order"),
    [((), 0, []), ((4,), 4, [4]), ((1, 2), 1, [1, 2]), ((3, 1, 2), 2, [2, 3, 1]), ((7, 9), 7, [7, 9])],
)
def test_the_last_but_one_seals_and_all_open(numbers: tuple[int, ...], sealing: int, order: list[int]) -> None:
    found = ring(*numbers)
    assert found.sealing == sealing
    assert found.secrets() == [key(number).secret for number in order]


def test_a_key_is_known_before_it_seals_and_opens_after_it() -> None:
    """Over four rotations, on two replicas, one of which sees each view a rotation late."""
    views = [{1, 2}, {1, 2, 3}, {2, 3, 4}, {3, 4, 5}]
    for before, after in pairwise(views):
        late, prompt = ring(*before), ring(*after)
        assert late.secrets()[0] in prompt.secrets()
        assert prompt.secrets()[0] in late.secrets()


def test_what_a_rotation_deletes() -> None:
    assert ring(1, 2).to_delete() == []
    assert ring(1, 2, 3).to_delete() == [1]
    assert ring(1, 2, 5, 6).to_delete() == [1, 2]


def test_the_next_one_is_due_when_the_newest_was_there_for_a_rotation() -> None:
    assert TicketRing().due(0.0, WALL)
    found = ring(1, 2)
    found.see({number: key(number) for number in (1, 2, 3)}, 100.0)
    assert not found.due(99.0 + ROTATE, WALL + 99 * ROTATE), "its age is known here, whatever the clock says"
    assert found.due(100.0 + ROTATE, WALL - 99 * ROTATE)


def test_the_age_of_one_that_was_there_at_the_start_is_told_by_clocks() -> None:
    found = ring(1, 2, now=50.0, made=WALL)
    assert not found.due(50.0 + LIFE, WALL + ROTATE - 1)
    assert not found.due(49.0 + LIFE, WALL + ROTATE), "wrong clocks may not end keys before the tickets end"
    assert found.due(50.0 + LIFE, WALL + ROTATE)
    assert found.due(50.0 + ROTATE, WALL - 5 * ROTATE)


def test_no_key_seals_for_longer_than_two_rotations_after_the_newest() -> None:
    found = ring(1, 2, now=10.0)
    assert not found.over(9.0 + 2 * ROTATE)
    assert found.over(10.0 + 2 * ROTATE)
    assert TicketRing().over(0.0)


def test_only_what_changes_is_news() -> None:
    found = ring(1, 2)
    assert not found.see({1: key(1), 2: key(2)}, 5.0)
    assert found.see({1: key(1), 2: key(2), 3: key(3)}, 6.0)


def test_the_next_generation_goes_on() -> None:
    before, after = ring(1, 2, now=7.0), TicketRing()
    after.remember(json.loads(json.dumps(before.memory())))
    assert after.secrets() == before.secrets()
    for now in (6.0 + 2 * ROTATE, 7.0 + 2 * ROTATE):
        assert after.over(now) is before.over(now)
    assert after.due(7.0 + LIFE, WALL + ROTATE)


def test_no_secret_is_shown() -> None:
    assert repr(ring(1, 2)) == "<ticket ring of [1, 2]>"
    assert repr(key(1)) == "<ticket key made at 1795246800>"
