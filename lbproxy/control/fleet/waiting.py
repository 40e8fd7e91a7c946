"""Which balancers an order still waits for, and why: each has to have applied it, and to have nothing left there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lbproxy.control.fleet.order_book import Key
from lbproxy.control.fleet.replica import Replica
from lbproxy.control.fleet.roster import Roster
from lbproxy.control.fleet.views import WaitedForView


class Ordered(NamedTuple):
    """The orders for `key`: etcd has them since the revision `modified` (0: not yet), which was `age` seconds ago.

    `at` is when the last of them was given, in seconds since the epoch.
    """

    key: Key
    modified: int
    age: float
    at: float


def waited_for(ordered: Sequence[Ordered], roster: Roster, this: str, patience: float) -> list[WaitedForView]:
    """Every other balancer, with what is missing there; and those that have died since the order was given.

    this: the name of the balancer that asks. patience: seconds until one that does not answer is called silent.
    """
    found: list[WaitedForView] = []
    for name, one in sorted(roster.live.items()):
        if name != this:
            missing = [(_missing(one, order), order) for order in ordered]
            late = any(why and not one.left.get(str(order.key)) and order.age > patience for why, order in missing)
            text = "; ".join(_told(why, order, len(ordered)) for why, order in missing if why)
            found.append({"replica": name, "what": text, "silent": late, "gone": False})
    since = max((order.at for order in ordered), default=0.0)
    for name, gone in sorted(roster.gone.items()):
        if ordered and since and gone.at >= since:
            found.append({"replica": name, "what": "its lease has ended", "silent": False, "gone": True})
    return found


def _told(why: str, order: Ordered, count: int) -> str:
    return why if count == 1 else f"pool {order.key.pool}: {why}"


def _missing(replica: Replica, order: Ordered) -> str:
    """Why `order` is not carried out there; "" if it is."""
    key = str(order.key)
    if key in replica.not_understood:
        return "does not understand the order, which a newer lbproxy has given"
    if replica.revision < order.modified:
        return "has not applied the order"
    return f"{left} to finish" if (left := replica.left.get(key)) else ""
