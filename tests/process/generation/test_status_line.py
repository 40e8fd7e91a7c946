"""The line that says how lbproxy is."""

from __future__ import annotations

import asyncio

from lbproxy.balance.backend import Backend
from lbproxy.balance.health import Rules
from lbproxy.balance.orders import Order
from lbproxy.balance.pool import Pool
from lbproxy.process.generation.status_line import StatusLine, in_rotation
from lbproxy.reasons import CONNECT_REFUSED


def nothing() -> str:
    return ""


def pool_of(count: int, name: str = "connectors") -> Pool:
    backends = [Backend(f"c{number}", f"http://127.0.0.1:{number}") for number in range(1, count + 1)]
    pool = Pool(name, backends, Rules(rise=1, fall=1, consecutive_errors=3, interval=1.0))
    for backend in pool.backends:
        pool.probed(backend, True, "", 1.0)
    return pool


async def test_it_is_told_when_it_changes() -> None:
    one, two, told = pool_of(2), pool_of(1), list[str]()
    status_line = StatusLine([one, two], told.append, nothing)
    one.drain(one.backends[0])
    status_line.serve()
    status_line.serve()
    assert told == ["serving, 2 of 3 backends in rotation"]
    one.ready(one.backends[0])
    one.ready(one.backends[0])
    await asyncio.sleep(0)
    one.evidence(one.backends[1], CONNECT_REFUSED, 2.0)
    await asyncio.sleep(0)
    assert told[1:] == ["serving, 3 of 3 backends in rotation", "serving, 2 of 3 backends in rotation"]


def test_a_standby_that_waits_is_no_trouble() -> None:
    one, two = pool_of(2), pool_of(3, "raw")
    one.order("c2", Order(standby=True))
    assert in_rotation([one]) == "1 of 2 backends in rotation, 1 standby waits"
    for name in ("c2", "c3"):
        two.order(name, Order(standby=True))
    assert in_rotation([one, two]) == "2 of 5 backends in rotation, 3 standbys wait"
    one.drain(one.backends[0])
    assert in_rotation([one]) == "1 of 2 backends in rotation"


async def test_in_a_drain_it_counts_who_is_left() -> None:
    pool, told = pool_of(1), list[str]()
    status_line = StatusLine([pool], told.append, nothing)
    status_line.serve()
    pool.drain(pool.backends[0])
    for connections in (12, 12, 0):
        status_line.drain(connections)
    await asyncio.sleep(0)
    assert told[1:] == ["draining, client connections open: 12", "draining, client connections open: 0"]
    assert repr(status_line) == "<status_line 'draining, client connections open: 0'>"


async def test_it_ends_with_a_remark() -> None:
    told, remarks = list[str](), [""]
    status_line = StatusLine([pool_of(1)], told.append, lambda: remarks[-1])
    status_line.serve()
    remarks.append("; the last reload failed")
    status_line.update()
    status_line.drain(1)
    status_line.update()
    assert told == [
        "serving, 1 of 1 backends in rotation",
        "serving, 1 of 1 backends in rotation; the last reload failed",
        "draining, client connections open: 1",
    ]


def test_a_pool_with_none_in_rotation_is_named() -> None:
    one, other = pool_of(2), pool_of(2, "raw")
    assert in_rotation([one, other]) == "4 of 4 backends in rotation"
    for backend in other.backends:
        other.drain(backend)
    assert in_rotation([one, other]) == "2 of 4 backends in rotation, none in pool raw"
    for backend in one.backends:
        one.drain(backend)
    assert in_rotation([one, other]) == "0 of 4 backends in rotation"
