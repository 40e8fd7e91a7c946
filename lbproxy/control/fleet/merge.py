"""What operators have given as orders for a backend, on any replica: the newest counts, for each field by itself. Pure.

| field | value | nothing is ordered |
| --- | --- | --- |
| drain | true | false |
| weight | 0 to 100 | null |
| standby | true or false | null |
| member | [url, weight, standby] of a backend that was added | null |

Two replicas that could not hear each other may both have given orders. A drain here and a weight there are both kept;
of two values of one field, the later one is. Later is what a hybrid logical clock says: a stamp is the wall clock's
time, but never below any stamp that is known. So what was given after another order was heard is later, however wrong
the host's clock is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from lbproxy.balance.member import MAX_WEIGHT, Member
from lbproxy.balance.operators import Said
from lbproxy.balance.orders import Order, Stamp
from lbproxy.control.fleet import keys

NOTHING: Mapping[str, Any] = {"drain": False, "weight": None, "standby": None, "member": None}
"""The fields, each with the value that orders nothing."""

LATEST = keys.LAST * 1_000_000
"""No stamp is above that: one in other units, say, would be later than all orders for ever."""


class Given(NamedTuple):
    """A field's `value` as it was given last: by whom, when (seconds since the epoch) and on which replica.

    `stamp` is in microseconds; `run` is that of the replica, and decides between equal stamps.
    """

    value: Any
    stamp: int
    run: str
    replica: str
    by: str
    at: float


Entry = Mapping[str, Given]
"""The fields that were ever given, by name. Fields of a newer version are kept, and merged like the others.

Beside them is `seen`, which orders nothing (its value is None): see `order_book.SEEN`.
"""


def later(one: Given, other: Given) -> Given:
    """The same of both, in whatever order they are named."""
    return latest((one, other))


def _rank(given: Given) -> tuple[int, str, str]:
    return given.stamp, given.run, json.dumps([given.value, given.replica, given.by, given.at], sort_keys=True)


def merged(one: Entry, other: Entry) -> dict[str, Given]:
    """Each field as it was given last."""
    return {name: later(one.get(name) or other[name], other.get(name) or one[name]) for name in sorted({*one, *other})}


def latest(given: Iterable[Given]) -> Given:
    """The same of at least one."""
    return max(given, key=_rank)


def giver(given: Given, replica: str) -> str:
    """Who has given that, as `replica` names it: with where, unless it was here."""
    return given.by if given.replica == replica else f"{given.by} on {given.replica}"


def is_void(entry: Entry) -> bool:
    """Whether nothing is ordered any more."""
    return all(given.value == NOTHING.get(name) for name, given in entry.items())


def said(name: str, entry: Entry, replica: str) -> Said:
    """What `entry` means for the backend `name`. Orders that were not given on `replica` name where they were."""
    values = {field: entry[field].value if field in entry else nothing for field, nothing in NOTHING.items()}
    stamps = {
        field: Stamp(giver(one, replica), one.at)
        for field, one in entry.items()
        if field in NOTHING and one.value != NOTHING[field]
    }
    added = values.pop("member")
    member = None
    if added is not None:
        url, weight, standby = added
        member = Member(name, url, weight, standby, added=stamps.pop("member"))
    return Said(member, Order(**values, stamps=stamps))


def values(told: Said) -> dict[str, Any]:
    """The fields that `told` is about, as an entry has them."""
    member, order = told
    return {
        "drain": order.drain,
        "weight": order.weight,
        "standby": order.standby,
        "member": None if member is None else [member.url, member.weight, member.standby],
    }


def encode(entry: Entry) -> dict[str, list[Any]]:
    """As JSON has it."""
    return {name: list(given) for name, given in entry.items()}


def decode(name: str, told: Any) -> dict[str, Given]:
    """The orders for the backend `name`, as `encode` gave them. Raises ValueError, which says what is wrong."""
    if not isinstance(told, dict):
        raise ValueError("orders are a table")
    return {field: _given(name, field, one) for field, one in told.items()}


def _given(name: str, field: str, told: Any) -> Given:
    if not isinstance(told, list) or len(told) < len(Given._fields):
        raise ValueError(f"{field} is not a list of {len(Given._fields)}")
    given = Given(*told[: len(Given._fields)])
    texts = (given.run, given.replica, given.by)
    if not all(isinstance(one, str) for one in texts) or not keys.is_time(given.at):
        raise ValueError(f"{field} does not say by whom, where and when")
    if type(given.stamp) is not int or not 0 <= given.stamp <= LATEST:
        raise ValueError(f"the stamp of {field} is not a number from 0 to {LATEST}")
    if field in NOTHING and (problem := _problem(name, field, given.value)):
        raise ValueError(problem)
    return given


def _problem(name: str, field: str, value: Any) -> str:
    if field == "member":
        return "" if value is None else _unfit(name, value)
    if field == "weight":
        return "" if value is None or (type(value) is int and 0 <= value <= MAX_WEIGHT) else f"weight is {value!r}"
    fits = isinstance(value, bool) or (field == "standby" and value is None)
    return "" if fits else f"{field} is {value!r}"


def _unfit(name: str, value: Any) -> str:
    match value:
        case [str(url), int(weight), bool(standby)] if not isinstance(weight, bool):
            return Member(name, url, weight, standby).problem()
    return f"member is {value!r}"


class Clock:
    """A hybrid logical clock: `wall` gives seconds since the epoch. `highest` is the last stamp that is known."""

    def __init__(self, wall: Callable[[], float], highest: int = 0) -> None:
        self._wall = wall
        self.highest = highest

    def __repr__(self) -> str:
        return f"<clock at {self.highest}>"

    def now(self) -> int:
        """A stamp above all that are known, if there is one that others can read."""
        self.highest = min(LATEST, max(int(self._wall() * 1e6), self.highest + 1))
        return self.highest

    def saw(self, entry: Entry) -> None:
        """These stamps are known."""
        self.highest = max([self.highest, *(given.stamp for given in entry.values())])
