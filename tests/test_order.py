from __future__ import annotations

from tests.order import dealt


def test_each_part_begins_with_its_share_of_the_groups() -> None:
    tests = ["a1", "a2", "b1", "b2", "b3", "c1", *(f"-{number}" for number in range(8))]
    assert dealt(tests, 2, lambda test: None if test[0] == "-" else test[0]) == [
        *("a1", "a2", "c1", "-0", "-1", "-2", "-3"),
        *("b1", "b2", "b3", "-4", "-5", "-6", "-7"),
    ]


def test_none_is_lost_where_a_group_is_larger_than_a_part() -> None:
    tests = [*("a" * 7), *"bcd", *"---"]
    for parts in range(1, 6):
        assert sorted(dealt(tests, parts, lambda test: None if test == "-" else test)) == sorted(tests)
