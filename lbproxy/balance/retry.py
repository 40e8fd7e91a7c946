"""Whether a request may be sent a second time, to another backend, after it failed on one; and how many may."""

from __future__ import annotations

_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))
# Safe by RFC 9110 section 9.2.1. PUT and DELETE are idempotent by 9.2.2, but only as far as the application keeps to
# it, and the services behind lbproxy sign users in: a request that may count twice is not repeated. TRACE is not
# served.

WINDOW = 10
"""Seconds that a budget looks back, in buckets of one second."""


def replayable(method: str | bytes, *, body_kept: bool, has_idempotency_key: bool, has_connection_token: bool) -> bool:
    """True if a request that was (partly) sent may be sent again; one of which no byte was sent may always.

    `body_kept`: there is no body, or all of it is still buffered. `has_idempotency_key`: it has an `Idempotency-Key`,
    by which the application knows the second one for the same (draft-ietf-httpapi-idempotency-key-header).
    `has_connection_token` (`Credential.is_connection_token`): a Negotiate or NTLM token is presented at most once,
    because another instance, with a replay cache of its own, would accept it and run the request twice (rule 6 of
    docs/lanes.md).
    """
    if not body_kept or has_connection_token:
        return False
    name = method.decode("latin-1") if isinstance(method, bytes) else method
    return has_idempotency_key or name in _METHODS


class RetryBudget:
    """How many requests may be sent a second time: a part of those of the last 10 s, so that a failure costs no storm.

    When backends fail under load, retries add load, and each failure brings the next. `ratio` of the requests may be
    retries; `floor` retries are allowed in 10 s for any traffic, or the one request of a quiet minute could never be
    retried. A request of which no byte was sent is not a retry and needs no budget.

    No call is made for each request: `tick` gets a running total ten times a second.
    """

    __slots__ = ("_bucket", "_counted", "_requests", "_retries", "floor", "ratio")

    def __init__(self, ratio: float, floor: int = 10) -> None:
        self.ratio = ratio
        self.floor = floor
        self._requests = [0] * WINDOW  # by the second, modulo WINDOW
        self._retries = [0] * WINDOW
        self._bucket = 0  # the second that is being counted
        self._counted = 0  # the total of the last tick

    def __repr__(self) -> str:
        return f"<retry budget {self.used} of {self.limit} used>"

    @property
    def used(self) -> int:
        """Retries in the last 10 s."""
        return sum(self._retries)

    @property
    def limit(self) -> int:
        """Retries that the last 10 s allow."""
        return max(self.floor, int(self.ratio * sum(self._requests)))

    def tick(self, now: float, total: int) -> None:
        """At `now` (monotonic seconds) there have been `total` requests since the budget was made."""
        second = int(now)
        for passed in range(max(self._bucket + 1, second - WINDOW + 1), second + 1):
            self._requests[passed % WINDOW] = self._retries[passed % WINDOW] = 0
        self._bucket = max(self._bucket, second)
        self._requests[self._bucket % WINDOW] += total - self._counted
        self._counted = total

    def allow(self) -> bool:
        """Whether one more request may be sent again; if so, it is counted."""
        if self.used >= self.limit:
            return False
        self._retries[self._bucket % WINDOW] += 1
        return True
