from __future__ import annotations

import asyncio
import io
import json
import signal
import sys
from pathlib import Path

import pytest
from rich.console import Console

from lbproxy.cli.drain import wait_until_empty
from lbproxy.control.snapshot import BackendView
from lbproxy.errors import AdminError
from tests.cli.served import Busy, run, served


def busy(backend: BackendView) -> None:
    """There is always something to finish."""
    backend["active"] = 3


def finishing(backend: BackendView) -> None:
    """Each look finds one request less; the first one, at the drain, finds three."""
    backend["active"] = max(0, (backend["active"] or 4) - 1)


async def test_drains_and_says_what_is_left(tmp_path: Path) -> None:
    backends = Busy(busy)
    async with served(tmp_path, backends) as config:
        result = await run("drain", "-c", str(config), "c1")
    assert (result.exit_code, result.stdout) == (0, "connectors/c1 is drained; 3 requests to finish\n")
    assert backends.orders == ["drain c1"]


async def test_asks_where_it_is_told_and_prints_json(tmp_path: Path) -> None:
    async with served(tmp_path, Busy()):
        result = await run("drain", "--admin", f"unix:{tmp_path}/admin.sock", "--json", "connectors/c2")
    assert result.exit_code == 0
    shown = json.loads(result.stdout)
    assert (shown["pool"], shown["backend"]["name"], shown["backend"]["draining"]) == ("connectors", "c2", True)


async def test_forces(tmp_path: Path) -> None:
    backends = Busy()
    async with served(tmp_path, backends) as config:
        assert (await run("drain", "-c", str(config), "--force", "c1")).exit_code == 0
    assert backends.orders == ["force c1"]


async def test_a_refusal(tmp_path: Path) -> None:
    async with served(tmp_path, Busy()) as config:
        result = await run("drain", "-c", str(config), "c9")
    assert (result.exit_code, result.stderr) == (1, "lbproxy: error: no backend is called c9\n")


async def test_waits_until_nothing_is_left(tmp_path: Path) -> None:
    async with served(tmp_path, Busy(finishing)) as config:
        result = await run("drain", "-c", str(config), "c1", "--wait")
    assert (result.exit_code, result.output) == (0, "connectors/c1 is drained; nothing to finish\n")


async def test_gives_up_in_time(tmp_path: Path) -> None:
    backends = Busy(busy)
    async with served(tmp_path, backends) as config:
        result = await run("drain", "-c", str(config), "c1", "--wait", "--timeout", "1ms")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "lbproxy: error: connectors/c1 still waits after 0.001 s: 3 requests to finish; it stays drained\n"
    )
    assert backends.views["c1"]["draining"]


async def test_waits_for_drain_timeout_by_default(tmp_path: Path) -> None:
    async with served(tmp_path, Busy(busy, drain_timeout=0)) as config:
        result = await run("drain", "-c", str(config), "c1", "--wait")
    assert (result.exit_code, "after 0 s" in result.stderr) == (1, True)


async def test_shows_a_live_count(tmp_path: Path) -> None:
    """A request ends once the terminal has shown that it is there: the last look comes after each count was seen."""
    shown = io.StringIO()

    def shown_and_finished(backend: BackendView) -> None:
        left = backend["active"]
        if not left:
            backend["active"] = 3
        elif f"connectors/c1: {left} request" in shown.getvalue():
            backend["active"] = left - 1

    backends = Busy(shown_and_finished)
    console = Console(file=shown, width=100, force_terminal=True)
    async with served(tmp_path, backends):
        first = backends.drain("c1", force=False)
        last = await asyncio.to_thread(wait_until_empty, tmp_path / "admin.sock", first, 60, console, 0.1)
    assert last["backend"]["active"] == 0
    assert "connectors/c1: 1 request to finish" in shown.getvalue()


async def test_somebody_else_may_end_the_drain(tmp_path: Path) -> None:
    backends = Busy(busy)
    async with served(tmp_path, backends):
        backends.drain("c1", force=False)
        backends.ready("c1")
        seen = backends.show("c1")
        with pytest.raises(AdminError, match="connectors/c1 was made ready again, with 3 requests to finish"):
            await asyncio.to_thread(wait_until_empty, tmp_path / "admin.sock", seen, 60, Console(file=io.StringIO()))


async def test_an_interrupted_wait_says_what_it_leaves(tmp_path: Path) -> None:
    looks = 0
    waiting = asyncio.Event()

    def counted(backend: BackendView) -> None:
        nonlocal looks
        busy(backend)
        looks += 1
        if looks > 1:  # the first one was the drain's
            waiting.set()

    async with served(tmp_path, Busy(counted)) as config:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "lbproxy", "drain", "-c", str(config), "c1", "--wait"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        await waiting.wait()
        process.send_signal(signal.SIGINT)
        out, errors = await process.communicate()
    assert (process.returncode, out) == (1, b"")
    assert errors == b"lbproxy: error: interrupted: connectors/c1 stays drained, with 3 requests to finish\n"


@pytest.mark.parametrize(
    "arguments", [("c1", "--timeout", "5s"), ("c1", "--wait", "--timeout", "5"), (), ("c1", "--admin", "x")]
)
async def test_wrong_usage(arguments: tuple[str, ...]) -> None:
    assert (await run("drain", *arguments)).exit_code == 2


async def test_an_instance_is_drained_in_all_of_its_pools(tmp_path: Path) -> None:
    """`--wait` waits for all of them, and looks for the instance by the name that means all of them."""
    backends = Busy(finishing)
    backends.share("raw")
    async with served(tmp_path, backends) as config:
        result = await run("drain", "-c", str(config), "c1", "--wait")
        assert (result.exit_code, result.output) == (0, "c1 (pools connectors, raw) is drained; nothing to finish\n")
        shown = json.loads((await run("drain", "-c", str(config), "c2", "--json")).stdout)
    assert [one["pool"] for one in (shown, *shown["others"])] == ["connectors", "raw"]
    assert set(backends.asked) == {"c1", "c2"}


async def test_ready_again_in_one_pool_ends_the_wait(tmp_path: Path) -> None:
    backends = Busy(busy)
    backends.share("raw")
    async with served(tmp_path, backends):
        seen = backends.drain("c1", force=False)
        seen["others"][0]["backend"]["draining"] = False
        with pytest.raises(AdminError, match=r"c1 \(pools connectors, raw\) was made ready again, with 6 requests"):
            await asyncio.to_thread(wait_until_empty, tmp_path / "admin.sock", seen, 60, Console(file=io.StringIO()))
