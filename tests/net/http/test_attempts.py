from __future__ import annotations

from lbproxy import reasons
from lbproxy.balance.backend import Backend
from lbproxy.balance.health import Rules
from lbproxy.balance.pool import Pool
from lbproxy.net.http.attempts import Attempts


def pool(size: int) -> Pool:
    made = Pool("connectors", [Backend(f"c{n}", f"http://127.0.0.1:{n}") for n in range(1, size + 1)], Rules())
    for backend in made.backends:
        made.probed(backend, True, "", 0.0)
    return made


def pick(attempts: Attempts) -> Backend | None:
    return attempts.pool.pick(attempts.tried)


def test_who_failed_is_not_asked_again_for_this_request() -> None:
    attempts = Attempts(pool(2))
    first = pick(attempts)
    assert first is not None
    attempts.failed(first, reasons.LANE_LOST)
    second = pick(attempts)
    assert second not in (None, first)
    assert not attempts.has_other(second)
    attempts.passed_over(second, reasons.CONNECT_REFUSED)
    assert pick(attempts) is None
    assert pick(Attempts(attempts.pool)) is not None, "for another one it is"
    assert [first.retried_from, second.retried_from] == [1, 1]
    assert [failure[:2] for failure in attempts.failures] == [
        (first.name, "lane_lost"),
        (second.name, "connect_refused"),
    ]


def test_the_last_failure_is_why_nobody_is_left() -> None:
    """Unless nobody is in rotation, or nobody was sent the request."""
    members = pool(3)
    attempts = Attempts(members, never=members.backends[:1])
    assert attempts.exhausted is reasons.NO_BACKEND
    attempts.failed(members.backends[1], reasons.LANE_LOST)
    attempts.passed_over(members.backends[2], reasons.CONNECT_REFUSED)
    assert attempts.exhausted is reasons.LANE_LOST
    for backend in members.backends[1:]:
        members.probed(backend, False, "", 0.0)
    assert attempts.exhausted is reasons.NO_BACKEND, "who takes no requests is no help"
    assert Attempts(members, never=members.backends[:1]).exhausted is reasons.NO_BACKEND


def test_who_closed_an_idle_lane_is_asked_again_if_nobody_else_is_there() -> None:
    for size, expected in ((1, 0), (2, 1)):
        attempts = Attempts(pool(size))
        first = pick(attempts)
        assert first is not None
        attempts.failed(first, reasons.LANE_STALE)
        again = pick(attempts)
        assert again is not None
        assert again.name == f"c{1 + expected}"


def test_backends_that_take_no_requests_are_never_asked() -> None:
    members = pool(3)
    passed_to, *others = members.backends
    for _ in range(2):
        attempts = Attempts(members, never=(passed_to,))
        first = pick(attempts)
        assert first in others
        assert attempts.has_other(first)
        attempts.failed(first, reasons.LANE_LOST)
        second = pick(attempts)
        assert {first, second} == set(others)
        assert second is not None
        assert not attempts.has_other(second)
        attempts.failed(second, reasons.LANE_LOST)
        assert pick(attempts) is None


def test_a_new_lane_is_wanted_after_a_stale_one() -> None:
    attempts = Attempts(pool(2))
    attempts.failed(attempts.pool.backends[0], reasons.LANE_LOST)
    assert not attempts.wants_new
    attempts.failed(attempts.pool.backends[1], reasons.LANE_STALE)
    assert attempts.wants_new


class Asked:
    """What `Attempts` looks at of an exchange."""

    method, idempotent, body_kept = b"GET", False, True


def test_the_budget_is_asked_for_what_a_backend_failed() -> None:
    members = pool(3)
    members.retry_budget.ratio, members.retry_budget.floor = 0.0, 1
    attempts = Attempts(members)
    exchange: object = Asked()
    assert attempts.may_follow(exchange, reasons.LANE_LOST)  # type: ignore[arg-type]
    assert not attempts.may_follow(exchange, reasons.LANE_LOST)  # type: ignore[arg-type]
    assert attempts.may_follow(exchange, reasons.LANE_STALE)  # type: ignore[arg-type]
    assert not attempts.may_ask_another(exchange, members.backends[0], 503)  # type: ignore[arg-type]
    assert attempts.may_leave(exchange, members.backends[0])  # type: ignore[arg-type]
    assert not attempts.may_follow(exchange, reasons.RESPONSE_TIMEOUT)  # type: ignore[arg-type]


def test_a_token_is_presented_once() -> None:
    attempts = Attempts(pool(3), has_token=True)
    exchange: object = Asked()
    assert not attempts.may_follow(exchange, reasons.LANE_LOST)  # type: ignore[arg-type]
    assert not attempts.may_leave(exchange, pick(attempts))  # type: ignore[arg-type]
