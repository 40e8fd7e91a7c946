"""What operators may do to a pool, and why not: add and remove backends, and order their weight and standby.

Every function that refuses raises AdminError with one sentence, and has changed nothing then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from lbproxy.balance.backend import Backend
from lbproxy.balance.member import MAX_WEIGHT, Member
from lbproxy.balance.membership import FILE, OPERATOR
from lbproxy.balance.orders import NO_ORDER, Order, Stamp
from lbproxy.balance.pool import Pool
from lbproxy.errors import AdminError


class Said(NamedTuple):
    """What operators say of one name: the member that they have added, None if they have not, and their orders."""

    member: Member | None
    order: Order

    def encode(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"member": self.member, "order": self.order.encode()}

    @classmethod
    def decode(cls, told: Mapping[str, Any]) -> Said:
        """What `encode` gave."""
        member = told["member"]
        return cls(member and Member.decode(member), Order.decode(told["order"]))


def said(pool: Pool, name: str) -> Said:
    """What operators say of `name` now."""
    return Said(_added(pool).get(name), pool.ordered(name))


def find(pool: Pool, name: str) -> Backend:
    """The member `name`."""
    backend = pool.by_name(name)
    if backend is None:
        raise AdminError(f"no backend is called {pool.name}/{name}; lbproxy status shows those that there are")
    return backend


def add(pool: Pool, member: Member) -> Backend:
    """Make `member` one of the pool, or change its weight and standby if it was added before.

    Its weight and standby count from now on, whatever was ordered for the name before; a drain stays.
    """
    if (problem := member.problem()) or (problem := _of_another_source(pool, member.name)):
        raise AdminError(problem)
    before = _added(pool)
    earlier = before.get(member.name)
    if earlier is not None and earlier.url != member.url:
        raise AdminError(f"{member.name} is a backend of pool {pool.name} already, at {earlier.url}; remove it first")
    if earlier is not None and member.weight == 0 and pool.is_alone(find(pool, member.name)):
        raise AdminError(
            f"{member.name} is the only backend of pool {pool.name} in rotation; lbproxy backend set --weight 0 --force"
            " gives it no turns all the same"
        )
    refused = pool.apply(OPERATOR, (before | {member.name: member}).values())
    if refused:
        pool.apply(OPERATOR, before.values())
        raise AdminError(refused[-1])
    pool.order(member.name, pool.ordered(member.name).having(member.added or Stamp(), weight=None, standby=None))
    return find(pool, member.name)


def waiting(pool: Pool) -> dict[str, Order]:
    """The orders for names without a backend: they wait for a backend of this name, until they are taken back."""
    return {name: order for name, order in pool.orders.items() if pool.by_name(name) is None}


def remove(pool: Pool, name: str, force: bool) -> Backend | None:
    """Take out what was added. Its orders end too, unless another source wants a backend of this name.

    Where there is no such backend, but orders wait for one, they end; returns None then.
    """
    if name in waiting(pool):
        pool.order(name, NO_ORDER)
        return None
    backend = find(pool, name)
    added = _added(pool)
    if name not in added:
        origin = "is in the configuration file: take it out there, and reload" if backend.source == FILE else (
            f"comes from {backend.source}, which has to take it out"
        )  # fmt: skip
        raise AdminError(f"{name} {origin}. lbproxy drain {pool.name}/{name} gives it no new work")
    _spare(pool, backend, "remove", force)
    del added[name]
    pool.apply(OPERATOR, added.values())
    if pool.by_name(name) is None:
        pool.order(name, NO_ORDER)
    return backend


def change(pool: Pool, name: str, given: Mapping[str, int | bool | None], stamp: Stamp, force: bool) -> Backend | None:
    """Order what is `given` of weight and standby; None is as the source of the backend says.

    Returns None where orders for this name wait for a backend.
    """
    backend = None if name in waiting(pool) else find(pool, name)
    weight = given.get("weight")
    if weight is not None and not 0 <= weight <= MAX_WEIGHT:
        raise AdminError(f"{name}: weight is {weight}, it must be 0 to {MAX_WEIGHT}")
    order = pool.ordered(name).having(stamp, **given)
    if backend is not None and pool.weight_of(backend, order) == 0:
        _spare(pool, backend, "give no turns to", force)
    pool.order(name, order)
    return backend


def end_drain(pool: Pool, name: str, stamp: Stamp) -> None:
    """End the drain that was ordered for `name`, whether it has a backend or not."""
    pool.order(name, pool.ordered(name).having(stamp, drain=False))


def hear(pool: Pool, name: str, told: Said) -> tuple[str, ...]:
    """Operators have said that of `name` to another process. Returns why the member is left out, if it is."""
    others = (member for member in _added(pool).values() if member.name != name)
    return hear_all(pool, [*others, told.member] if told.member else others, {name: told.order})


def hear_all(pool: Pool, members: Iterable[Member], orders: Mapping[str, Order]) -> tuple[str, ...]:
    """The same of all that they have added, and of any orders. What the file has wins."""
    for name, order in orders.items():
        pool.order(name, order)
    in_file = {member.name for member in pool.membership.of(FILE)}
    wanted: list[Member] = []
    left_out: list[str] = []
    for member in members:
        if member.name in in_file:
            left_out.append(f"{member.name}: the configuration file has it, at {find(pool, member.name).url}")
        else:
            wanted.append(member)
    return (*left_out, *pool.apply(OPERATOR, wanted))


def _added(pool: Pool) -> dict[str, Member]:
    return {member.name: member for member in pool.membership.of(OPERATOR)}


def _of_another_source(pool: Pool, name: str) -> str:
    """Says so if the file, or a discovery, has the name: an operator's URL would stand against theirs; else empty."""
    source, member = pool.membership.all().get(name, (OPERATOR, None))
    if member is None or source == OPERATOR:
        return ""
    if source == FILE:
        where, its_url = "in the configuration file", "its URL is changed in the file"
    else:
        where, its_url = f"from {source}, at {member.url}", f"its URL is what {source} says"
    return (
        f"{name} is a backend of pool {pool.name} {where}: lbproxy backend set changes its weight and standby;"
        f" {its_url}"
    )


def _spare(pool: Pool, backend: Backend, what: str, force: bool) -> None:
    if pool.is_alone(backend) and not force:
        raise AdminError(
            f"{backend.name} is the only backend of pool {pool.name} in rotation; to {what} it all the same, force it"
        )
