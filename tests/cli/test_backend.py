from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from lbproxy.cli.backend import toml
from tests.cli.served import Busy, run, served
from tests.control.sample import backend, pool


async def test_a_backend_comes_changes_and_goes(tmp_path: Path) -> None:
    backends = Busy()
    async with served(tmp_path, backends) as config:
        file = ("-c", str(config))
        added = await run("backend", "add", *file, "connectors/c4", "http://10.0.0.4:80", "--weight", "3", "--standby")
        again = await run("backend", "add", *file, "connectors/c4", "http://10.0.0.4:80")
        changed = await run("backend", "set", *file, "connectors/c4", "--weight", "0", "--no-standby", "--force")
        undone = await run("backend", "set", *file, "connectors/c4", "--undo")
        removed = await run("backend", "remove", *file, "connectors/c4")
        await run("backend", "remove", *file, "connectors/c1", "--force")
    assert added.stdout == "connectors/c4 is added; it is new, standby, weight 3 now\n"
    assert again.stdout == "connectors/c4 is added; it is new now\n"
    assert changed.stdout == "connectors/c4 has weight 0, and is no standby\n"
    assert undone.stdout == "connectors/c4 has weight 1, and is no standby\n"
    assert removed.stdout == "connectors/c4 is removed; nothing to finish\n"
    assert backends.orders == [
        "set c4 {'weight': 3, 'standby': True}",
        "set c4 {'weight': 1, 'standby': False}",
        "force c4 {'weight': 0, 'standby': False}",
        "set c4 {'weight': None, 'standby': None}",
        "remove c4",
        "force c1",
    ]


async def test_of_a_name_without_a_backend_the_orders_are_taken_back(tmp_path: Path) -> None:
    backends = Busy()
    backends.waiting.add("c9")
    async with served(tmp_path, backends) as config:
        results = [
            await run("backend", "set", "-c", str(config), "connectors/c9", *options)
            for options in (("--weight", "2"), ("--undo",))
        ]
        results.append(await run("backend", "remove", "-c", str(config), "connectors/c9"))
    assert [one.stdout for one in results] == [
        "no backend is called connectors/c9; the order waits for one\n",
        "no backend is called connectors/c9; what was ordered of its weight and standby is taken back\n",
        "no backend is called connectors/c9; what was ordered for it is taken back\n",
    ]


async def test_the_list_has_orders_that_wait(tmp_path: Path) -> None:
    backends = Busy()
    backends.waiting_orders.append(
        {"name": "c9", "draining": True, "weight": None, "standby": None, "ordered": {"drain": {"by": "root", "at": 0}}}
    )
    async with served(tmp_path, backends) as config:
        table = await run("backend", "list", "-c", str(config))
        lasting = await run("backend", "list", "-c", str(config), "--toml")
    [line] = [line for line in table.stdout.splitlines() if "c9" in line]
    assert line.startswith("pool connectors: no backend is called c9; ordered for it: draining since 1970-01-01 ")
    assert "# no backend is called c9: what is ordered for it ends with lbproxy" in lasting.stdout
    assert "c9" not in tomllib.loads(lasting.stdout)["pool"]["connectors"]["backends"]


async def test_a_refusal(tmp_path: Path) -> None:
    async with served(tmp_path, Busy()) as config:
        results = [
            await run("backend", "add", "-c", str(config), "mac/c4", "http://10.0.0.4:80"),
            await run("backend", "set", "-c", str(config), "connectors/c9", "--weight", "1"),
            await run("backend", "remove", "-c", str(config), "c1"),
        ]
    assert [(one.exit_code, one.stdout, one.stderr) for one in results] == [
        (1, "", "lbproxy: error: there is no pool mac\n"),
        (1, "", "lbproxy: error: no backend is called connectors/c9\n"),
        (1, "", "lbproxy: error: c1: write POOL/c1, since a backend is one of a pool\n"),
    ]


@pytest.mark.parametrize("options", [(), ("--undo", "--weight", "1"), ("--undo", "--no-standby")])
async def test_something_has_to_be_set(tmp_path: Path, options: tuple[str, ...]) -> None:
    result = await run("backend", "set", "-c", str(tmp_path / "none.toml"), "connectors/c1", *options)
    assert (result.exit_code, "or --undo alone" in result.stderr) == (2, True)


async def test_the_list(tmp_path: Path) -> None:
    backends = Busy()
    backends.views["c2"] |= {"ordered": {"weight": {"by": "root", "at": 1795246800.0}}, "weight": 3}
    async with served(tmp_path, backends) as config:
        table = await run("backend", "list", "-c", str(config))
        listed = await run("backend", "list", "-c", str(config), "--json")
        lasting = await run("backend", "list", "-c", str(config), "--toml")
        both = await run("backend", "list", "-c", str(config), "--toml", "--json")
    [row] = [line for line in table.stdout.splitlines() if " c2 " in line]
    assert row.split()[:5] == ["connectors", "c2", "http://10.0.0.1:4000/c2", "3", "file"]
    assert "weight 3 since 2026-11-2" in row
    assert row.rstrip().endswith("by root")
    assert [(one["pool"], one["backend"]["name"]) for one in json.loads(listed.stdout)] == [
        ("connectors", "c1"), ("connectors", "c2"), ("connectors", "c3"),
    ]  # fmt: skip
    assert tomllib.loads(lasting.stdout)["pool"]["connectors"]["backends"][1]["weight"] == 3
    assert both.exit_code == 2


def test_what_lasts_is_what_the_file_can_say() -> None:
    view = pool(
        "log.in",
        backend("c1") | {"check_url": "http://10.0.0.1:1/ok", "draining": True},
        backend("c2") | {"source": "operator", "weight": 0, "standby": True},
        backend("c3") | {"source": "dns"},
    )
    text = "\n".join(toml(view))
    assert tomllib.loads(text)["pool"] == {
        "log.in": {
            "backends": [
                {"name": "c1", "url": "http://10.0.0.1:4000/c1", "check_url": "http://10.0.0.1:1/ok"},
                {"name": "c2", "url": "http://10.0.0.1:4000/c2", "weight": 0, "standby": True},
            ]
        }
    }
    assert "# c1 is drained, which the file cannot say" in text
