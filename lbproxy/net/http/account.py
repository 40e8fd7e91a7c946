"""What the end of a request is to the backend that had it: its counters, and evidence of its health."""

from __future__ import annotations

from lbproxy import reasons
from lbproxy.balance.backend import Backend
from lbproxy.reasons import Reason

_HEAD_REFUSED = frozenset({400, 431})
LARGE_HEAD = 8192
"""Bytes of a request head beyond which many servers refuse it by default; a ticket with many groups is larger."""


def settle(backend: Backend, status: int, reason: Reason) -> tuple[Reason, str] | None:
    """A request ended with `reason` on `backend`: count it. `status` is that of its answer.

    Returns what this is evidence of, with a detail; None: an answer that is no evidence against the backend.
    """
    answered = reason is reasons.DONE or reason is reasons.TUNNEL_DONE
    if backend.end(status if answered else 0):
        return None
    return (reasons.BACKEND_ERROR, str(status)) if answered else (reason, "")


def refuses_large_head(status: int, head_size: int) -> bool:
    """Whether an answer with `status` to a head of `head_size` bytes looks like a header limit of the backend."""
    return status in _HEAD_REFUSED and head_size > LARGE_HEAD
