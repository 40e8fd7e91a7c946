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
    round_robin, model = RoundRobin(), deque[Backend]()
    for what, backend in steps:
        if what == "take":
            if model:
                assert round_robin.take_turn() is model[0]
                model.rotate(-1)
        elif backend in model:
            round_robin.remove(backend)
            model.remove(backend)
        else:
            round_robin.append(backend)
            model.append(backend)
        assert round_robin.members == tuple(model)
        assert len(round_robin) == len(model)
        assert [each in round_robin for each in MEMBERS] == [each in model for each in MEMBERS]


def test_who_is_no_member_cannot_leave() -> None:
    round_robin = RoundRobin()
    round_robin.append(MEMBERS[0])
    with pytest.raises(ValueError, match="not in list"):
        round_robin.remove(MEMBERS[1])
    assert round_robin.members == (MEMBERS[0],)


def test_responses_are_counted_by_their_first_digit() -> None:
    backend = Backend("c1", "http://127.0.0.1:80")
    assert backend.responses == [0] * 6
    for status in (101, 200, 299, 304, 404, 500, 599):
        backend.begin()
        backend.end(status)
    assert backend.responses == [0, 1, 2, 1, 1, 2]
    assert (backend.requests, backend.active, backend.placed, backend.lanes) == (7, 0, False, None)


@pytest.mark.parametrize(
    ("status", "good", "in_row"),
    [(200, True, 0), (401, True, 0), (500, True, 0), (501, True, 0), (505, True, 0)]
    + [(status, False, 2) for status in (0, 502, 503, 504)],
)
def test_an_answer_ends_errors_in_a_row_unless_it_is_one(status: int, good: bool, in_row: int) -> None:
    backend = Backend("c1", "http://127.0.0.1:80")
    backend.errors_in_row = 2
    backend.begin()
    assert backend.active == 1
    assert backend.end(status) is good
    assert (backend.active, backend.requests, backend.errors_in_row) == (0, 1, in_row)
    assert sum(backend.responses) == (status > 0)


def test_a_request_that_goes_elsewhere_was_none() -> None:
    backend = Backend("c1", "http://127.0.0.1:80")
    backend.begin()
    backend.begin()
    backend.leave()
    assert (backend.active, backend.requests) == (1, 0)
