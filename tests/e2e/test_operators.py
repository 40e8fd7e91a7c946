"""Two operators at the same moment, and orders for a backend that has just gone."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from lbproxy.dashboard.balancer import Balancer as Admin
from lbproxy.errors import AdminError

from .backend import Lane, answer, serve
from .balancer import Balancer, command
from .conftest import Backends, Balance

ROUNDS = 10
POOL = "connectors"


@asynccontextmanager
async def two_operators(balancer: Balancer) -> AsyncIterator[tuple[Admin, Admin]]:
    """Each has a connection to the admin socket."""
    path = Path(balancer.config["admin"]["bind"].removeprefix("unix:"))
    olga, otto = Admin(path), Admin(path)
    try:
        yield olga, otto
    finally:
        await asyncio.gather(olga.close(), otto.close())


async def at_once(*orders: Awaitable[Any]) -> list[Any]:
    """What each is answered; the AdminError of one that is refused."""
    return await asyncio.gather(*orders, return_exceptions=True)


def logged(balancer: Balancer, *events: str) -> list[dict[str, str]]:
    """The fields of these events, in order, with the `event`; `by` without the account."""
    found = []
    for line in balancer.log:
        if match := re.search(rf"\b({'|'.join(events)})\b", line):
            fields = dict(re.findall(r'(\w+)="?([^" ]*)', line))
            found.append({**fields, "event": match[1]})
    return found


async def test_two_at_once_each_get_a_true_answer(backends: Backends, balance: Balance) -> None:
    """Whatever the order in which theirs are carried out: the answers, the log and the state agree."""
    balancer = await balance(*await backends(serve, serve))
    async with two_operators(balancer) as (olga, otto):
        for _ in range(ROUNDS):
            drained, ready = await at_once(
                olga.drain(POOL, "c1", force=False, by="olga"), otto.ready(POOL, "c1", "otto")
            )
            assert (drained["backend"]["draining"], ready["backend"]["draining"]) == (True, False)
            two, three = await at_once(
                olga.weigh(POOL, "c2", 2, force=False, by="olga"), otto.weigh(POOL, "c2", 3, force=False, by="otto")
            )
            assert (two["backend"]["weight"], three["backend"]["weight"]) == (2, 3)
            state = await balancer.backends()
            await balancer.logged("backend_set", count=2)
            last = logged(balancer, "backend_drained", "backend_ready")[-1]
            assert state["c1"]["draining"] == (last["event"] == "backend_drained")
            assert last["by"] == ("olga" if state["c1"]["draining"] else "otto")
            weights = logged(balancer, "backend_set")
            assert {(one["by"], one["weight"]) for one in weights} == {("olga", "2"), ("otto", "3")}
            assert state["c2"]["weight"] == int(weights[-1]["weight"])
            assert state["c2"]["ordered"]["weight"]["by"].startswith(f"{weights[-1]['by']} via ")
            await otto.ready(POOL, "c1", "otto")
            balancer.forget()
        drains = await at_once(
            olga.drain(POOL, "c1", force=False, by="olga"), otto.drain(POOL, "c2", force=False, by="otto")
        )
        [refused] = [one for one in drains if isinstance(one, AdminError)]
        assert "is the only backend of pool connectors in rotation" in str(refused)
        assert [one["in_rotation"] for one in (await balancer.backends()).values()].count(True) == 1


async def test_orders_for_what_has_just_gone(backends: Backends, balance: Balance) -> None:
    """By commands and over the API: the balancer says so, and nothing else changes."""
    asked, may_end = asyncio.Event(), asyncio.Event()

    async def hold(lane: Lane) -> None:
        while await lane.request():
            asked.set()
            await may_end.wait()
            await lane.send(answer(b"at last"))

    one, two = await backends(serve, hold)
    balancer = await balance(one, drain_timeout="1m")  # what waits on c2 may, until all commands have ended
    where, gone = ("-c", str(balancer.path)), f"{POOL}/c2"
    assert (await command("backend", "add", *where, gone, two.url))[0] == 0
    await balancer.until(lambda view: view["pools"][0]["backends"][1]["in_rotation"])
    async with await balancer.connect() as client, await balancer.connect() as other:
        waiting = [asyncio.ensure_future(each.ask()) for each in (client, other)]
        await asyncio.wait_for(asked.wait(), 20.0)
        drain = asyncio.ensure_future(command("drain", *where, "--wait", "--timeout", "1m", gone))
        await balancer.logged("backend_drained", "backend=c2")
        assert (await command("backend", "remove", *where, gone))[0] == 0
        code, _, err = await drain
        assert (code, f"no backend is called {gone}" in err) == (1, True)
        for words in (["drain", gone], ["ready", "c2"], ["backend", "set", gone, "--weight", "2"]):
            code, out, err = await command(*words, *where)
            assert (code, out, "no backend is called" in err) == (1, "", True), words
        async with two_operators(balancer) as (olga, otto):
            refused = await at_once(
                olga.drain(POOL, "c2", force=True, by="olga"), otto.weigh(POOL, "c2", 2, force=True, by="otto"),
                olga.ready(POOL, "c2", "olga"), otto.kick("1-1-1", "otto"),
            )  # fmt: skip
        assert all(isinstance(answer, AdminError) for answer in refused)
        assert list(await balancer.backends()) == ["c1"]
        may_end.set()
        assert {(await each).body for each in waiting} <= {b"c1", b"at last"}


@pytest.mark.parametrize("workers", [2])
async def test_workers_hear_the_last_of_two_orders(backends: Backends, balance: Balance, workers: int) -> None:
    balancer = await balance(*await backends(serve, serve), workers=workers)
    async with two_operators(balancer) as (olga, otto):
        await at_once(
            *(olga.drain(POOL, "c1", force=False, by="olga") for _ in range(ROUNDS)),
            *(otto.ready(POOL, "c1", "otto") for _ in range(ROUNDS)),
        )
        await otto.drain(POOL, "c1", force=False, by="otto")
    for _ in range(ROUNDS):
        assert (await balancer.ask()).body == b"c2"
