"""`lbproxy leave` against a host that gives its address away, or does not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from lbproxy.cli.leave import wait_until_over
from lbproxy.control.admin.client import fetch_leave
from lbproxy.control.admin.leave import leave_routes
from lbproxy.control.admin.server import AdminServer
from lbproxy.control.admin.sockets import listen
from lbproxy.control.snapshot import LeaveView
from lbproxy.errors import AdminError
from tests.cli.served import CONFIG, run
from tests.control.admin.test_leave import Stays
from tests.control.sample import snapshot


class Host(Stays):
    """It has left at the third look, with what is then `here`; at each look `happens` is called."""

    def __init__(self, *here: str, happens: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self.here = list(here)
        self.looks = 0
        self.happens = happens

    def view(self) -> LeaveView:
        self.looks += 1
        self.happens()
        over = self.leaving and self.looks > 2
        elsewhere = [] if self.here else ["192.0.2.10"]
        return {"leaving": self.leaving, "over": over, "here": self.here, "elsewhere": elsewhere, "connections": 3}


@asynccontextmanager
async def served(folder: Path, host: Stays) -> AsyncIterator[str]:
    (folder / "lbproxy.toml").write_text(CONFIG)
    server = AdminServer(listen(folder / "admin.sock"), leave_routes(host, snapshot))
    await server.start()
    yield str(folder / "lbproxy.toml")
    await server.stop()


async def test_it_returns_when_the_address_is_gone(tmp_path: Path) -> None:
    host = Host()
    async with served(tmp_path, host) as config:
        result = await run("leave", "-c", config, "--timeout", "20s")
    assert (result.exit_code, result.output) == (
        0,
        "not on this host any more: 192.0.2.10; 3 connections are open\n",
    )
    assert host.told[0].startswith("leave 20.0 ")
    assert host.looks == 3


async def test_an_address_that_stays_is_an_error(tmp_path: Path) -> None:
    async with served(tmp_path, Host("192.0.2.10")) as config:
        result = await run("leave", "-c", config)
    assert result.exit_code == 1
    assert "still on this host: 192.0.2.10; is another host there" in result.output


async def test_it_is_taken_back(tmp_path: Path) -> None:
    host = Host()
    async with served(tmp_path, host) as config:
        result = await run("leave", "-c", config, "--cancel")
        assert (result.exit_code, result.output) == (0, "this host may have its virtual addresses again\n")
        assert host.told[0].startswith("cancel ")
        assert (await run("leave", "-c", config, "--cancel", "--timeout", "1s")).exit_code == 2


async def test_somebody_else_takes_it_back_meanwhile(tmp_path: Path) -> None:
    host = Host()

    def happens() -> None:
        host.leaving = host.looks < 2

    host.happens = happens
    async with served(tmp_path, host) as config:
        result = await run("leave", "-c", config)
    assert result.exit_code == 1
    assert "somebody has taken it back" in result.output


def test_an_interrupt_changes_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", interrupted)
    with pytest.raises(AdminError, match="this host still leaves"):
        wait_until_over(tmp_path, Stays().view())


async def test_nobody_is_running(tmp_path: Path) -> None:
    result = await run("leave", "--admin", f"unix:{tmp_path}/admin.sock")
    assert result.exit_code == 1
    assert "not running" in result.output
    with pytest.raises(AdminError, match="not running"):
        fetch_leave(tmp_path / "admin.sock")
