"""What the end of a request is to the backend that had it: its counters, and evidence of its health."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lbproxy import reasons
from lbproxy.balance.backend import Backend
from lbproxy.net.http.exchange import Exchange
from lbproxy.reasons import Reason

if TYPE_CHECKING:
    from lbproxy.net.http.client import ClientConnection

_GATEWAY_ERRORS = frozenset({502, 503, 504})
_HEAD_REFUSED = frozenset({400, 431})
LARGE_HEAD = 8192
"""Bytes of a request head beyond which many servers refuse it by default; a ticket with many groups is larger."""


def settle(client: ClientConnection, backend: Backend, exchange: Exchange, reason: Reason) -> None:
    """The request that `exchange` has for `client` ended with `reason` on `backend`."""
    backend.active -= 1
    backend.requests += 1
    if reason is not reasons.DONE and reason is not reasons.TUNNEL_DONE:
        client.evidence(backend, reason)
        return
    status = exchange.status
    backend.count_response(status)
    if status < 400:
        backend.errors_in_row = 0
        return
    if status in _GATEWAY_ERRORS:
        client.evidence(backend, reasons.BACKEND_ERROR, str(status))
        return
    backend.errors_in_row = 0
    if status in _HEAD_REFUSED and exchange.head_size > LARGE_HEAD:
        client.service.head_refused(client.listener, backend, status, exchange.head_size)
