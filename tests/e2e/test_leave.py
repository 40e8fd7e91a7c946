"""Leaving without virtual addresses: something else sends clients elsewhere, and asks for the health."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from lbproxy.control.admin.health import ask_health

from .balancer import Balancer
from .conftest import Backends, Balance
from .crowd import serve_posts

WORKERS = pytest.mark.parametrize("workers", [1, 2])


async def health(balancer: Balancer) -> tuple[int, str]:
    response = await balancer.admin("/health", "POST")
    return response.status, response.body.decode().strip()


async def serves(balancer: Balancer) -> bool:
    return (await balancer.ask("/", "POST", body=b"x")).status == 200


@WORKERS
async def test_term_says_no_and_serves_for_leave_timeout(backends: Backends, balance: Balance, workers: int) -> None:
    balancer = await balance(*await backends(serve_posts), leave_timeout="10m", workers=workers)
    assert await health(balancer) == (200, "ok")
    balancer.signal(signal.SIGTERM)
    await balancer.logged(" leaving ", "by=TERM")
    assert await health(balancer) == (503, "lbproxy is leaving")
    assert (await balancer.admin("/readyz")).status == 503
    assert await serves(balancer)
    balancer.signal(signal.SIGTERM)
    assert await balancer.exited() == 0
    assert any(" stopped " in line for line in balancer.log)


async def test_the_listeners_close_after_leave_timeout(backends: Backends, balance: Balance) -> None:
    balancer = await balance(*await backends(serve_posts), leave_timeout="50ms")
    await balancer.logged("generation_serves")  # of the master: it may come after the first answer
    balancer.signal(signal.SIGTERM)
    assert await balancer.exited() == 0
    events = [line.split()[2] for line in balancer.log if line.startswith("20")]
    assert events[-4:] == ["leaving", "left", "draining", "stopped"]


async def test_by_default_term_waits_for_nothing(backends: Backends, balance: Balance) -> None:
    balancer = await balance(*await backends(serve_posts))
    balancer.signal(signal.SIGTERM)
    assert await balancer.exited() == 0
    assert not [line for line in balancer.log if " leaving " in line]


@WORKERS
async def test_an_order_to_leave_outlives_reloads_and_upgrades(
    backends: Backends, balance: Balance, workers: int
) -> None:
    balancer = await balance(*await backends(serve_posts), workers=workers)
    assert (await balancer.admin("/leave?timeout=0", "POST")).status == 200
    for count, number in enumerate((signal.SIGHUP, signal.SIGUSR2), 2):
        balancer.signal(number)
        await balancer.logged("generation_serves", count=count)
        assert await health(balancer) == (503, "lbproxy is leaving")
        assert await serves(balancer), "whoever comes all the same"
    await balancer.admin("/leave", "DELETE")
    assert await health(balancer) == (200, "ok")
    balancer.signal(signal.SIGHUP)
    await balancer.logged("generation_serves", count=4)
    assert await health(balancer) == (200, "ok")


async def test_an_order_that_comes_during_a_reload_is_not_forgotten(backends: Backends, balance: Balance) -> None:
    """The old generation is asked, and the new one, which has its state by then, has to hear of it."""
    balancer = await balance(*await backends(serve_posts))
    balancer.signal(signal.SIGHUP)
    await balancer.logged("reloading")
    await balancer.admin("/leave?timeout=0", "POST")
    await balancer.logged("generation_serves", count=2)
    assert await health(balancer) == (503, "lbproxy is leaving")


@WORKERS
async def test_health_says_yes_through_reloads_and_upgrades(backends: Backends, balance: Balance, workers: int) -> None:
    """Asked all the time, by several: one no would move the address."""
    balancer = await balance(*await backends(serve_posts), workers=workers)
    over = asyncio.Event()
    answers: list[tuple[bool, str]] = []
    where = Path(balancer.config["admin"]["bind"].removeprefix("unix:"))

    async def ask() -> None:
        while not over.is_set():
            answers.append(await asyncio.to_thread(ask_health, where, 60.0))
            await asyncio.sleep(0.002)

    asking = [asyncio.ensure_future(ask()) for _ in range(2)]
    for count, number in enumerate((signal.SIGHUP, signal.SIGUSR2, signal.SIGHUP), 2):
        balancer.signal(number)
        await balancer.logged("generation_serves", count=count)
        await balancer.logged("generation_ended", count=count - 1)
    over.set()
    await asyncio.gather(*asking)
    assert set(answers) == {(True, "ok")}
