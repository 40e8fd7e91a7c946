from __future__ import annotations

import asyncio
import logging

import pytest

from lbproxy.control.etcd import EtcdUnavailableError
from lbproxy.control.fleet.reach import Reach

ERROR = EtcdUnavailableError("http://e:2379", "connection refused")


def events(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records]


async def settled() -> None:
    """Timers of no time have run."""
    for _ in range(3):
        await asyncio.sleep(0)


async def test_it_is_said_once_and_once_when_it_is_over(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    reach = Reach(patience=0)
    reach.failed(ERROR)
    since = reach.since
    reach.failed(ERROR)
    await settled()
    reach.failed(ERROR)
    await settled()
    assert (reach.since, reach.error) == (since, "etcd http://e:2379: connection refused")
    assert events(caplog) == ["fleet_unreachable"]
    reach.answered()
    reach.answered()
    assert (reach.since, reach.error, reach.failing.is_set()) == (None, "", False)
    assert events(caplog) == ["fleet_unreachable", "fleet_reached"]


async def test_a_moment_is_not_worth_a_line(caplog: pytest.LogCaptureFixture) -> None:
    """One node of several has died."""
    caplog.set_level(logging.INFO)
    reach = Reach(patience=3600)
    reach.failed(ERROR)
    assert reach.since is not None
    reach.answered()
    await settled()
    assert events(caplog) == []


async def test_the_next_generation_does_not_say_it_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    reach = Reach(since=5.0, patience=0)
    reach.failed(ERROR)
    await settled()
    assert (reach.since, events(caplog)) == (5.0, [])
    reach.answered()
    assert events(caplog) == ["fleet_reached"]


async def test_it_says_nothing_more_once_it_is_stopped(caplog: pytest.LogCaptureFixture) -> None:
    reach = Reach(patience=0)
    reach.failed(ERROR)
    reach.stop()
    await settled()
    assert events(caplog) == []
