"""The one feed of a pool: who joined, who left, what changed. Nobody else keeps a list of backends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lbproxy.balance.backend import Backend
from lbproxy.balance.health import Change
from lbproxy.reasons import Reason

if TYPE_CHECKING:
    from lbproxy.balance.pool import Pool


class Observer:
    """Is told what happens to a pool's backends, in this order and once each. Each method does nothing by default.

    Observers are called synchronously, in the order in which they were added, after the change took effect.
    """

    def joined(self, pool: Pool, backend: Backend) -> None:
        """`backend` is a member; it was not picked yet."""

    def left(self, pool: Pool, backend: Backend) -> None:
        """`backend` is no member any more: no new work goes there, and what it has may finish."""

    def changed(self, pool: Pool, backend: Backend, change: Change | None, reason: Reason | None, detail: str) -> None:
        """A verdict on `backend`, why (None: a probe decided), and a detail for the log.

        change None: something else that decides whether it is picked may have changed: its drain, weight, consistency.
        """
