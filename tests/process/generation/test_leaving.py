"""Leaving in a network of the test's own, with a data path that only remembers what it was told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Iterable, Iterator
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path

import pytest

from lbproxy.config import Config, load
from lbproxy.errors import AdminError
from lbproxy.process.generation import leaving
from lbproxy.process.generation.leaving import Leaving, at
from tests.namespaces import needs_root, own_network, run
from tests.net.peers import until

CONFIG = """
server_url = "http://login.test"
virtual_addresses = [{addresses}]
{more}
[listener.login]
bind = "10.77.9.9:80"
pool = "p"
[listener.any]
bind = "0.0.0.0:81"
pool = "p"
[listener.any6]
bind = "[::]:81"
pool = "p"
[listener.other]
bind = "127.0.0.1:80"
pool = "p"
[listener.local]
bind = "unix:local.sock"
pool = "p"
[pool.p]
backends = [{{ name = "c1", url = "http://127.0.0.1:9" }}]
"""
VIRTUAL = "10.77.9.9"


def configuration(folder: Path, *addresses: str, more: str = "") -> Config:
    (folder / "lb.toml").write_text(CONFIG.format(addresses=", ".join(f'"{one}"' for one in addresses), more=more))
    return load(folder / "lb.toml")


class DataPath:
    """What it was told, and two connections."""

    connections = 2

    def __init__(self) -> None:
        self.told: list[str] = []

    def hold(self, names: Iterable[str]) -> None:
        self.told.append(f"hold {' '.join(names)}")

    def release(self, gone: Collection[str]) -> None:
        self.told.append(f"release {' '.join(gone)}".strip())


class Scene:
    """`shown` is what others were shown, `changed` what operators have changed."""

    def __init__(self, config: Config) -> None:
        self.data_path = DataPath()
        self.shown: list[bool] = []
        self.changed: list[bool] = []
        self.leaving = Leaving(config, self.data_path, self.shown.append, self.changed.append)

    async def over(self) -> None:
        await until(lambda: self.leaving.view()["over"])


@asynccontextmanager
async def scene(config: Config) -> AsyncIterator[Scene]:
    made = Scene(config)
    yield made
    await made.leaving.stop()


@pytest.fixture
def network() -> Iterator[None]:
    with own_network():
        yield


def address(word: str) -> None:
    run("ip", "address", word, f"{VIRTUAL}/32", "dev", "lo")


def test_which_listeners_clients_reach_at_virtual_addresses(tmp_path: Path) -> None:
    assert at(configuration(tmp_path)) == {}
    assert at(configuration(tmp_path, VIRTUAL)) == {"login": ip_address(VIRTUAL), "any": None}
    assert at(configuration(tmp_path, "fd77::9")) == {"any6": None}


async def test_an_address_that_is_elsewhere_is_not_waited_for(tmp_path: Path) -> None:
    async with scene(configuration(tmp_path, VIRTUAL)) as one:
        assert one.leaving.leave(None, "olga")["leaving"]
        await one.over()
        assert one.leaving.view() == {
            "leaving": True, "over": True, "here": [], "elsewhere": [VIRTUAL], "connections": 2
        }  # fmt: skip
        assert one.shown == one.changed == [True]
        assert not any("hold" in told for told in one.data_path.told), "there is nothing to move"


@needs_root
@pytest.mark.usefixtures("network")
async def test_it_waits_until_the_kernel_has_the_address_no_more(tmp_path: Path) -> None:
    address("add")
    async with scene(configuration(tmp_path, VIRTUAL)) as one:
        assert one.leaving.leave(600, "olga")["here"] == [VIRTUAL]
        one.leaving.asked()
        one.leaving.asked()
        assert one.data_path.told == ["hold login any"]
        address("delete")
        await one.over()
        assert one.data_path.told == ["hold login any", "release login"]
        one.leaving.asked()
        assert one.data_path.told[2:] == []


@needs_root
@pytest.mark.usefixtures("network")
async def test_an_address_that_stays(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    address("add")
    async with scene(configuration(tmp_path, VIRTUAL)) as one:
        one.leaving.leave(0.01, "olga")
        await one.over()
        assert one.leaving.view()["here"] == [VIRTUAL]
        assert one.data_path.told == ["release"], "its clients are still served"
        assert [record.levelno for record in caplog.records if record.message == "leave_timeout"] == [logging.WARNING]


@needs_root
@pytest.mark.usefixtures("network")
async def test_a_hold_ends_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaving, "HOLD_AT_MOST", 0.01)
    address("add")
    async with scene(configuration(tmp_path, VIRTUAL)) as one:
        one.leaving.leave(600, "olga")
        one.leaving.asked()
        await until(lambda: one.data_path.told == ["hold login any", "release"])


@needs_root
@pytest.mark.usefixtures("network")
async def test_it_is_taken_back(tmp_path: Path) -> None:
    address("add")
    async with scene(configuration(tmp_path, VIRTUAL)) as one:
        one.leaving.leave(600, "olga")
        one.leaving.asked()
        assert one.leaving.cancel("olga")["leaving"] is False
        assert one.data_path.told == ["hold login any", "release"]
        assert one.shown == one.changed == [True, False]
        one.leaving.cancel("olga")
        assert one.changed == [True, False], "there was nothing to take back"
        one.leaving.leave(600, "olga")
        assert not one.leaving.view()["over"]
        address("delete")
        await one.over()


@needs_root
@pytest.mark.usefixtures("network")
async def test_health_moves_nothing_unless_it_leaves(tmp_path: Path) -> None:
    address("add")
    async with scene(configuration(tmp_path, VIRTUAL)) as one:
        one.leaving.asked()
        assert one.data_path.told == []


async def test_without_virtual_addresses_the_end_waits_for_the_whole_time(tmp_path: Path) -> None:
    async with scene(configuration(tmp_path, more='leave_timeout = "10m"')) as one:
        finishing = asyncio.ensure_future(one.leaving.finish())
        await until(lambda: one.shown)
        assert not finishing.done()
        one.leaving.asked()
        assert one.data_path.told == []
        finishing.cancel()


@needs_root
@pytest.mark.usefixtures("network")
async def test_the_end_has_less_patience_than_an_operator(tmp_path: Path) -> None:
    address("add")
    async with scene(configuration(tmp_path, VIRTUAL, more='leave_timeout = "10ms"')) as one:
        one.leaving.leave(600, "olga")
        await one.leaving.finish()
        assert not one.leaving.view()["over"]


@needs_root
@pytest.mark.usefixtures("network")
async def test_the_end_is_not_taken_back(tmp_path: Path) -> None:
    """Nothing would end its wait."""
    address("add")
    async with scene(configuration(tmp_path, VIRTUAL, more='leave_timeout = "10m"')) as one:
        finishing = asyncio.ensure_future(one.leaving.finish())
        await until(lambda: one.shown)
        with pytest.raises(AdminError, match=r"^lbproxy ends; "):
            one.leaving.cancel("olga")
        assert one.leaving.view()["leaving"]
        address("delete")
        await finishing


async def test_the_end_waits_for_leave_timeout_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even when another generation, which does not know of the end yet, has taken it back."""
    monkeypatch.setattr(leaving, "_LATE", 0.01)
    async with scene(configuration(tmp_path, more='leave_timeout = "10ms"')) as one:
        finishing = asyncio.ensure_future(one.leaving.finish())
        await until(lambda: one.shown)
        one.leaving.adopt(False)
        await finishing


async def test_without_anything_the_end_waits_for_nothing(tmp_path: Path) -> None:
    async with scene(configuration(tmp_path)) as one:
        await one.leaving.finish()
        assert one.shown == []


@needs_root
@pytest.mark.usefixtures("network")
async def test_a_generation_after_it_waits_for_the_address_too(tmp_path: Path) -> None:
    address("add")
    async with scene(configuration(tmp_path, VIRTUAL, more='leave_timeout = "10m"')) as one:
        one.leaving.adopt(True)
        assert not one.leaving.view()["over"]
        assert one.data_path.told == [], "the one before it may hold new connections"
        one.leaving.asked()
        assert one.data_path.told == ["hold login any"]
        finishing = asyncio.ensure_future(one.leaving.finish())
        address("delete")
        await finishing
        assert one.leaving.view()["over"]


async def test_a_generation_after_it_goes_on(tmp_path: Path) -> None:
    async with scene(configuration(tmp_path, VIRTUAL)) as one:
        one.leaving.adopt(True)
        assert one.leaving.view()["over"]
        await one.leaving.finish()
        one.leaving.adopt(False)
        assert not one.leaving.view()["over"]
        assert one.shown == [True, False]
        assert one.changed == [], "the operator has told the other one"
