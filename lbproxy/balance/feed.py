"""The one feed of a pool: joins, leaves and changes. No other part keeps its own list of backends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lbproxy.balance.backend import Backend
from lbproxy.balance.health import Change
from lbproxy.reasons import Reason

if TYPE_CHECKING:
    from lbproxy.balance.pool import Pool


class Observer:
    """Gets the events of a pool's backends, in their order and once each. Each method does nothing by default.

    Observers are called synchronously, in the order in which they were added, after the change took effect.
    """

    def joined(self, pool: Pool, backend: Backend) -> None:
        """`backend` is a member from now on; no request was sent to it yet."""

    def left(self, pool: Pool, backend: Backend) -> None:
        """`backend` is no longer a member: it gets no new work, and its requests may finish."""

    def changed(self, pool: Pool, backend: Backend, change: Change | None, reason: Reason | None, detail: str) -> None:
        """A verdict on `backend`, why (None: a probe decided), and a detail for the log.

        change None: something else that decides whether it is picked may have changed: its drain, weight, consistency.
        """
