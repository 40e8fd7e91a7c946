"""Which backends one request was tried on, and whether it may be tried on another one."""

from __future__ import annotations

import logging

from lbproxy import reasons
from lbproxy.balance.backend import Backend
from lbproxy.balance.pool import Pool
from lbproxy.balance.retry import replayable
from lbproxy.net.http.exchange import Exchange
from lbproxy.net.transport.poller import monotonic
from lbproxy.reasons import Reason

_log = logging.getLogger(__name__)

_UNCOUNTED = frozenset({reasons.LANE_STALE, reasons.BACKEND_EJECTED, reasons.STATUS_RETRIED})
"""Retries that the budget does not limit: no work was begun, or `may_ask_another` has asked the budget already."""


class Attempts:
    """Of one request. `tried` are the backends that are not tried, or not tried again.

    `wants_new` says that idle lanes are not used: the backend that closed one may have closed more of them.
    """

    __slots__ = ("_failure", "_has_token", "_never", "failures", "pool", "tried", "wants_new")

    def __init__(self, pool: Pool, never: tuple[Backend, ...] = (), has_token: bool = False) -> None:
        """never: the backends of the pool that take no requests.

        has_token: the request carries a Negotiate or NTLM token, which is presented once (rule 6).
        """
        self.pool = pool
        self._never = never
        self._has_token = has_token
        self.tried = never  # those, and the backends that failed
        self._failure = reasons.NO_BACKEND  # how the last one failed that got the request
        self.wants_new = False
        self.failures: list[tuple[str, str, float]] = []  # the backend, the reason's label, and when: CLOCK_MONOTONIC

    def __repr__(self) -> str:
        return f"<attempts on {self.pool.name}>"

    def passed_over(self, backend: Backend, reason: Reason) -> None:
        """No byte of the request was sent there, because of `reason`, and it goes on without this backend."""
        self._gave_up(backend, reason)
        self.tried += (backend,)

    def failed(self, backend: Backend, reason: Reason) -> None:
        """It was sent there, failed by `reason`, and goes on without this backend.

        A backend that closed an idle lane may be healthy: it is tried again if there is no other.
        """
        self._gave_up(backend, reason)
        self._failure = reason
        self.wants_new |= reason is reasons.LANE_STALE
        if reason is not reasons.LANE_STALE or self.has_other(backend):
            self.tried += (backend,)

    def _gave_up(self, backend: Backend, reason: Reason) -> None:
        backend.retried_from += 1
        _log.debug("attempt_failed", extra={"fields": {"backend": backend.name, "reason": reason.label}})
        self.failures.append((backend.name, reason.label, monotonic()))

    @property
    def exhausted(self) -> Reason:
        """Why no backend is left to try."""
        served = any(backend not in self._never for backend in self.pool.rotation.members)
        return self._failure if served else reasons.NO_BACKEND

    def has_other(self, backend: Backend) -> bool:
        """Whether another one than `backend`, that was not tried yet, is in rotation."""
        return any(other is not backend and other not in self.tried for other in self.pool.rotation.members)

    def repeatable(self, exchange: Exchange) -> bool:
        """Whether the request may be sent twice, as long as all of it is kept."""
        return replayable(
            exchange.method,
            body_kept=True,
            has_idempotency_key=exchange.idempotent,
            has_connection_token=self._has_token,
        )

    def may_follow(self, exchange: Exchange, reason: Reason) -> bool:
        """Whether another attempt may follow one that ended by `reason`; if so, it is counted."""
        if not reason.retry or not exchange.body_kept or not self.repeatable(exchange):
            return False
        return reason in _UNCOUNTED or self.pool.retry_budget.allow()

    def may_leave(self, exchange: Exchange, backend: Backend) -> bool:
        """Whether the request may be taken from a backend that has not answered, for another one that is there.

        The budget does not limit this: otherwise a frozen backend would keep requests when the budget is used up.
        """
        return exchange.body_kept and self.repeatable(exchange) and self.has_other(backend)

    def may_ask_another(self, exchange: Exchange, backend: Backend, status: int) -> bool:
        """Whether the request may be taken from a backend that has answered with `status`; if so, that is counted."""
        may = self.may_leave(exchange, backend) and self.pool.retry_budget.allow()
        if may:
            backend.count_response(status)
        return may
