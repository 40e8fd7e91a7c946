from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lbproxy.balance.member import Member
from lbproxy.config import Config
from lbproxy.errors import StartError
from lbproxy.runtime.model import Model
from tests.runtime import minting

OTHER = """
[pool.other]
backends = [{ name = "c1", url = "http://127.0.0.1:9" }]
[listener.plain]
bind = "127.0.0.1:0"
pool = "other"
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """Of its files there is the mint's only: a model needs no other."""
    config = minting.configuration(tmp_path, 9, pool=OTHER)
    for name in ("login.pem", "login.key", "ca.pem"):
        (tmp_path / name).unlink()
    return config


@pytest.fixture
async def model(config: Config) -> AsyncIterator[Model]:
    model = Model(config, lambda pool, member: f"{pool} wants no {member.name}" if member.name == "x" else "")
    yield model
    model.stop()


async def test_it_has_pools_and_mints_and_needs_no_certificate_of_a_listener(model: Model) -> None:
    assert {name: [one.name for one in pool.backends] for name, pool in model.pools.items()} == {
        "connectors": ["c1"],
        "other": ["c1"],
    }
    assert [(name, mint.name) for name, mint in model.mints.items()] == [("login", "CN=mint")]
    assert model.pools["other"].apply("dns", [Member("x", "http://x:1")]) == ("other wants no x",)
    assert repr(model) == "<model of connectors other>"


async def test_a_mint_that_cannot_be_used_has_a_name(config: Config, tmp_path: Path) -> None:
    (tmp_path / "mint.key").write_text("no key")
    with pytest.raises(StartError, match=r"listener\.login\.tls\.mint: .*mint\.key"):
        Model(config, lambda pool, member: "")


async def test_it_tells_the_time_until_it_is_stopped(model: Model) -> None:
    times: list[float] = []
    third = asyncio.Event()

    def tick(now: float) -> None:
        times.append(now)
        if len(times) == 3:
            third.set()

    model.on_tick.append(tick)
    model.keep_time()
    model.keep_time()
    await third.wait()
    assert times == sorted(set(times))
    assert model.lag.observed == 2, "the first one has nothing to be late for"
    model.pools["connectors"].slow_start.tick(0.0)
    model.stop()
    assert len(times) == 3
