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

    `given`: there are any.
    """

    key: Key
    modified: int
    age: float
    given: bool


def waited_for(ordered: Sequence[Ordered], roster: Roster, this: str, patience: float) -> list[WaitedForView]:
    """Every other balancer, with what is missing there; and those whose lease has ended, if there is any order.

    this: the name of the balancer that asks. patience: seconds until one that does not answer is called silent.
    """
    found: list[WaitedForView] = []
    for name, one in sorted(roster.live.items()):
        if name != this:
            waits = [(_missing(one, order), order) for order in ordered]
            late = any(why and not one.left.get(str(order.key)) and order.age > patience for why, order in waits)
            text = "; ".join(_told(why, order, len(ordered)) for why, order in waits if why)
            down = [order.key.pool for order in ordered if str(order.key) in one.ejected]
            spare = {order.key.pool: _spare(one, order.key) for order in ordered if order.key.pool in one.rotation}
            found.append({"replica": name, "what": text, "silent": late, "gone": False, "down": down, "spare": spare})
    if any(order.given for order in ordered):
        found += [missing(name, "its lease has ended", gone=True) for name in sorted(roster.gone)]
    return found


def missing(replica: str, what: str, gone: bool = False) -> WaitedForView:
    """A balancer of which nothing more is known than that: `what` is missing there."""
    return {"replica": replica, "what": what, "silent": False, "gone": gone, "down": [], "spare": {}}


def _told(why: str, order: Ordered, count: int) -> str:
    return why if count == 1 else f"pool {order.key.pool}: {why}"


def _spare(replica: Replica, key: Key) -> int:
    """How many the pool has in rotation there without that backend."""
    return replica.rotation[key.pool] - (str(key) not in replica.out)


def _missing(replica: Replica, order: Ordered) -> str:
    """Why `order` is not carried out there; "" if it is."""
    key = str(order.key)
    if key in replica.not_understood:
        return "does not understand the order, which a newer lbproxy has given"
    if replica.revision < order.modified:
        return "has not applied the order"
    return f"{left} to finish" if (left := replica.left.get(key)) else ""
