"""The typed parts of a backend and of the rotation."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.balance.backend import Backend
from lbproxy.balance.round_robin import RoundRobin

MEMBERS = [Backend(name, f"http://{name}:80") for name in "abcd"]


@given(st.lists(st.tuples(st.sampled_from(["take", "join or leave"]), st.sampled_from(MEMBERS))))
def test_it_is_a_queue_whose_head_goes_to_the_tail(steps: list[tuple[str, Backend]]) -> None:
    turns, model = RoundRobin(), deque[Backend]()
    for what, backend in steps:
        if what == "take":
            if model:
                assert turns.take_turn() is model[0]
                model.rotate(-1)
        elif backend in model:
            turns.remove(backend)
            model.remove(backend)
        else:
            turns.append(backend)
            model.append(backend)
        assert turns.members == tuple(model)
        assert len(turns) == len(model)
        assert [each in turns for each in MEMBERS] == [each in model for each in MEMBERS]


def test_who_is_no_member_cannot_leave() -> None:
    turns = RoundRobin()
    turns.append(MEMBERS[0])
    with pytest.raises(ValueError, match="not in list"):
        turns.remove(MEMBERS[1])
    assert turns.members == (MEMBERS[0],)


def test_responses_are_counted_by_their_first_digit() -> None:
    backend = Backend("c1", "http://127.0.0.1:80")
    assert backend.responses == [0] * 6
    for status in (101, 200, 299, 304, 404, 500, 599):
        backend.count_response(status)
    assert backend.responses == [0, 1, 2, 1, 1, 2]
    assert (backend.requests, backend.active, backend.errors_in_row, backend.placed, backend.lanes) == (
        0,
        0,
        0,
        False,
        None,
    )
