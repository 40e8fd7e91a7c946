"""What the end of a request is to the backend that had it: its counters, and evidence of its health."""

from __future__ import annotations

from lbproxy import reasons
from lbproxy.balance.backend import Backend
from lbproxy.reasons import Reason

_GATEWAY_ERRORS = frozenset({502, 503, 504})
_HEAD_REFUSED = frozenset({400, 431})
LARGE_HEAD = 8192
"""Bytes of a request head beyond which many servers refuse it by default; a ticket with many groups is larger."""


def settle(backend: Backend, status: int, reason: Reason) -> tuple[Reason, str] | None:
    """A request ended with `reason` on `backend`: count it. `status` is that of its answer.

    Returns what this is evidence of, with a detail; None: an answer that is no evidence against the backend.
    """
    backend.active -= 1
    backend.requests += 1
    if reason is not reasons.DONE and reason is not reasons.TUNNEL_DONE:
        return reason, ""
    backend.count_response(status)
    if status in _GATEWAY_ERRORS:
        return reasons.BACKEND_ERROR, str(status)
    backend.errors_in_row = 0
    return None


def refuses_large_head(status: int, head_size: int) -> bool:
    """Whether an answer with `status` to a head of `head_size` bytes looks like a header limit of the backend."""
    return status in _HEAD_REFUSED and head_size > LARGE_HEAD
