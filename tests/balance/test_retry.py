from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.balance.retry import WINDOW, RetryBudget, replayable

SAFE = ["GET", "HEAD", "OPTIONS", b"GET", b"HEAD", b"OPTIONS"]
UNSAFE = ["POST", "PUT", "DELETE", "PATCH", "get", "", b"POST", b"G\xc9T"]


@pytest.mark.parametrize("token", [False, True], ids=["", "token"])
@pytest.mark.parametrize("key", [False, True], ids=["", "key"])
@pytest.mark.parametrize("kept", [False, True], ids=["streamed", "kept"])
@pytest.mark.parametrize("method", SAFE + UNSAFE, ids=repr)
def test_what_may_be_sent_again(method: str | bytes, kept: bool, key: bool, token: bool) -> None:
    allowed = (method in SAFE or key) and kept and not token
    assert replayable(method, body_kept=kept, has_idempotency_key=key, has_connection_token=token) is allowed


def taken(budget: RetryBudget, wanted: int = 10_000) -> int:
    """How many of `wanted` retries are allowed."""
    return sum(budget.allow() for _ in range(wanted))


def test_a_fifth_of_the_requests_of_the_last_ten_seconds() -> None:
    budget = RetryBudget(0.2)
    for second in range(60):
        budget.tick(1000.0 + second, 100 * (second + 1))
    assert taken(budget) == 200
    budget.tick(1060.0, 6100)
    assert taken(budget) == 0, "as many requests went out of sight as came"


def test_a_retry_is_forgotten_after_ten_seconds() -> None:
    budget = RetryBudget(ratio=0.5, floor=0)
    budget.tick(5.9, 10)
    assert taken(budget) == 5
    budget.tick(6.0, 30)
    assert taken(budget) == 10
    budget.tick(15.9, 30)
    assert taken(budget) == 0
    assert (budget.limit, repr(budget)) == (10, "<retry budget 10 of 10 used>")
    budget.tick(16.0, 40)
    assert taken(budget) == 5


def test_a_quiet_service_may_retry_too() -> None:
    budget = RetryBudget(0.2)
    assert taken(budget) == 10
    budget.tick(0.1, 10)
    assert taken(budget) == 0
    budget.tick(9.9, 10)
    assert taken(budget) == 0
    budget.tick(10.0, 10)
    assert taken(budget) == 10


def test_after_a_pause_nothing_old_counts() -> None:
    budget = RetryBudget(0.2)
    budget.tick(3.0, 1000)
    budget.tick(1e6, 1000)
    assert budget.limit == 10


def test_a_clock_that_stands_still_or_goes_back_a_little_loses_no_request() -> None:
    budget = RetryBudget(0.2)
    for now, total in ((7.05, 40), (6.95, 80), (7.05, 100)):
        budget.tick(now, total)
    assert budget.limit == 20


@given(
    st.lists(st.tuples(st.floats(0.0, 3.0), st.integers(0, 50), st.integers(0, 20)), max_size=80),
    st.floats(0.0, 1.0),
    st.integers(0, 5),
)
def test_no_ten_seconds_have_more_than_their_part(
    history: list[tuple[float, int, int]], ratio: float, floor: int
) -> None:
    """Against a list of everything that happened, second by second."""
    budget, now, total = RetryBudget(ratio, floor), 0.0, 0
    events: list[tuple[int, int, int]] = []
    for wait, requests, wanted in history:
        now += wait
        total += requests
        budget.tick(now, total)
        sight = [event for event in events if event[0] > int(now) - WINDOW]
        limit = max(floor, int(ratio * (sum(event[1] for event in sight) + requests)))
        allowed = taken(budget, wanted)
        assert allowed == min(wanted, max(0, limit - sum(event[2] for event in sight)))
        events.append((int(now), requests, allowed))
