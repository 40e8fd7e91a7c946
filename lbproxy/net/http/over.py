"""What stands in the place of a client connection that is over, where its exchange calls the policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lbproxy.net.http.exchange import Exchange
    from lbproxy.reasons import Reason


class Over:
    """A policy for which an end that comes once more is none.

    The exchange has it instead of the client connection, which has the exchange: else the two would keep each other,
    and their stream, until the garbage collector finds them.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "<client connection that is over>"

    def ended(self, exchange: Exchange, reason: Reason | None) -> None:
        """See `net.http.exchange`."""

    def hang_up(self, exchange: Exchange, gently: bool) -> None:
        """See `net.http.exchange`."""


OVER = Over()
