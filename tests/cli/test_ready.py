from __future__ import annotations

import json
from pathlib import Path

from tests.cli.served import Busy, run, served


async def test_brings_a_backend_back(tmp_path: Path) -> None:
    backends = Busy()
    async with served(tmp_path, backends) as config:
        backends.drain("c1", force=False)
        result = await run("ready", "-c", str(config), "c1")
    assert (result.exit_code, result.stdout) == (0, "connectors/c1 is in rotation\n")
    assert backends.orders == ["drain c1", "ready c1"]


async def test_one_that_is_down_has_to_wait_for_its_probes(tmp_path: Path) -> None:
    backends = Busy()
    backends.views["c2"]["state"] = "down"
    async with served(tmp_path, backends) as config:
        result = await run("ready", "-c", str(config), "connectors/c2")
    assert result.exit_code == 0
    assert result.stdout == (
        "connectors/c2 is ready, and will be in rotation when its probes are good; it is down now\n"
    )


async def test_json(tmp_path: Path) -> None:
    async with served(tmp_path, Busy()):
        result = await run("ready", "--admin", f"unix:{tmp_path}/admin.sock", "--json", "c1")
    assert json.loads(result.stdout)["backend"]["in_rotation"]


async def test_a_refusal(tmp_path: Path) -> None:
    async with served(tmp_path, Busy()) as config:
        result = await run("ready", "-c", str(config), "c9")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "lbproxy: error: no backend is called c9\n"


async def test_of_a_name_without_a_backend_the_drain_ends(tmp_path: Path) -> None:
    backends = Busy()
    backends.waiting.add("c9")
    async with served(tmp_path, backends) as config:
        told = await run("ready", "-c", str(config), "c9")
        as_json = await run("ready", "-c", str(config), "--json", "c9")
    assert (told.exit_code, told.stdout) == (0, "no backend is called c9; one that comes gets work\n")
    assert json.loads(as_json.stdout) is None


async def test_an_instance_is_brought_back_in_all_of_its_pools(tmp_path: Path) -> None:
    backends = Busy()
    backends.share("raw")
    backends.elsewhere["c2"]["state"] = "down"
    async with served(tmp_path, backends) as config:
        ready = await run("ready", "-c", str(config), "c1")
        waits = await run("ready", "-c", str(config), "c2")
    assert ready.stdout == "c1 (pools connectors, raw) is in rotation\n"
    assert waits.stdout == (
        "c2 (pools connectors, raw) is ready, and will be in rotation when its probes are good;"
        " it is down in pool raw now\n"
    )
