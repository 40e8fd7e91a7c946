from __future__ import annotations

import asyncio
import os
import shlex
import signal
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from lbproxy.control.admin.rollouts import rollout_routes
from lbproxy.control.etcd import Access, Etcd
from lbproxy.control.fleet.rollouts import Rollouts
from lbproxy.control.snapshot import BackendView, Snapshot
from tests.cli.served import Busy, run, served
from tests.control.sample import backend, fleet, pool


def healthy(backend: BackendView) -> None:
    """Its last probe has just been good."""
    backend["probe"] = {"ok": True, "detail": "200", "reason": None, "took_seconds": 0.0, "age_seconds": 0.0}


def python(code: str, *arguments: str) -> str:
    return shlex.join([sys.executable, "-c", code, *arguments])


def shows(path: Path) -> str:
    """A command that adds what it was given to the file at `path`."""
    return python("import sys; open(sys.argv[1], 'a').write(f'{sys.argv[2:]}\\n')", str(path), "{name}", "{port}")


async def test_updates_one_after_the_other(tmp_path: Path) -> None:
    backends = Busy(healthy)
    update = shows(tmp_path / "updated")
    async with served(tmp_path, backends) as config:
        result = await run("rollout", "-c", str(config), "--run", update, "--logs", str(tmp_path / "logs"))
    assert result.exit_code == 0, result.output
    assert backends.orders == [f"{order} c{number}" for number in (1, 2, 3) for order in ("drain", "ready")]
    assert (tmp_path / "updated").read_text() == "['c1', '4000']\n['c2', '4000']\n['c3', '4000']\n"
    assert sorted(path.name for path in (tmp_path / "logs" / "connectors").iterdir()) == ["c1.log", "c2.log", "c3.log"]
    lines = result.stdout.splitlines()
    assert lines[0] == "[1/3] connectors/c1: drained, and nothing left to finish"
    assert lines[1].startswith("[1/3] connectors/c1: command done in ")
    assert lines[2:4] == ["[1/3] connectors/c1: healthy", "[1/3] connectors/c1: in rotation"]
    assert lines[-2:] == ["[3/3] connectors/c3: in rotation", "updated: c1, c2, c3"]


async def test_a_dry_run_prints_the_plan_and_does_nothing(tmp_path: Path) -> None:
    backends = Busy(healthy)
    async with served(tmp_path, backends) as config:
        arguments = ("--run", "true '{name} x' {url}", "--from", "c2", "--logs", "logs", "--dry-run")
        result = await run("rollout", "-c", str(config), *arguments)
    assert result.exit_code == 0
    rows = [line.split(maxsplit=2) for line in result.stdout.splitlines()[1:]]
    assert [row[:2] for row in rows] == [["1", "connectors/c2"], ["2", "connectors/c3"]]
    assert rows[0][2].split("  ")[0] == "['true', 'c2 x', 'http://10.0.0.1:4000/c2']"
    assert rows[0][2].rstrip().endswith("logs/connectors/c2.log")
    assert backends.orders == []
    assert not Path("logs").exists()


async def test_the_first_failure_stops_it(tmp_path: Path) -> None:
    backends = Busy(healthy)
    fails = python("import sys; sys.exit(sys.argv[1] == 'c2')", "{name}")
    async with served(tmp_path, backends) as config:
        result = await run("rollout", "-c", str(config), "--run", fails, "--logs", str(tmp_path))
    assert result.exit_code == 1
    log = f"{tmp_path}/connectors/c2.log"
    assert result.stderr.splitlines() == [
        f"lbproxy: error: connectors/c2: the command ended with status 1; its output is in {log}",
        "lbproxy: error: connectors/c2 stays drained; its command did not end well",
        "lbproxy: error: updated: c1",
        "lbproxy: error: not touched: c3",
        "lbproxy: error: to go on: the same command with --from c2, which updates it again",
        "lbproxy: error: or, if it is right by now: lbproxy ready c2, and the same command with --from c3",
    ]
    assert backends.orders == ["drain c1", "ready c1", "drain c2"]
    assert [view["in_rotation"] for view in backends.views.values()] == [True, False, True]


async def test_facts_have_to_be_as_expected(tmp_path: Path) -> None:
    backends = Busy(healthy)
    for view in backends.views.values():
        view["facts"] = {"version": "1.8.0", "kvno": "4"}
    arguments = ("--run", "true", "--logs", str(tmp_path), "--expect", "version=1.8.0", "--expect", "kvno=5")
    async with served(tmp_path, backends) as config:
        result = await run("rollout", "-c", str(config), *arguments, "--timeout", "2s")
    assert result.exit_code == 1
    assert "longer than 2 s, waiting for kvno to be 5 (it is 4)" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--keep", "3"), "without c1, pool connectors has 2 in rotation (c2, c3); 3 must stay"),
        (("--pool", "other"), "there is no pool other; there is connectors"),
        (("--from", "c9"), "there is no backend c9 to begin with; there is c1, c2, c3"),
        (("--expect", "version=1.8.0"), "no backend of pool connectors tells its version"),
    ],
)
async def test_it_refuses_to_begin(tmp_path: Path, arguments: tuple[str, ...], text: str) -> None:
    backends = Busy(healthy)
    async with served(tmp_path, backends) as config:
        for dry in ((), ("--dry-run",)):
            result = await run("rollout", "-c", str(config), "--run", "true", *arguments, *dry)
            assert (result.exit_code, result.stdout) == (1, "")
            assert result.stderr == f"lbproxy: error: {text}\n"
    assert backends.orders == []


async def test_not_while_the_balancer_stops(tmp_path: Path) -> None:
    backends = Busy(healthy, state="draining")
    async with served(tmp_path, backends) as config:
        result = await run("rollout", "-c", str(config), "--run", "true")
    assert (result.exit_code, result.stderr) == (1, "lbproxy: error: lbproxy is draining\n")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "Missing option '--run'"),
        (("--run", ""), "there is no command"),
        (("--run", "/nonexistent/x"), "there is no program /nonexistent/x"),
        (("--run", "true", "--expect", "version"), "'version' is not NAME=VALUE"),
        (("--run", "true", "--expect", "=1"), "'=1' is not NAME=VALUE"),
        (("--run", "true", "--keep", "-1"), "-1 is not in the range x>=0"),
        (("--run", "true", "--timeout", "10"), "'10' is not a duration"),
    ],
)
async def test_wrong_usage(arguments: tuple[str, ...], text: str) -> None:
    result = await run("rollout", *arguments)
    assert result.exit_code == 2
    assert text in result.stderr


async def test_interrupted_it_says_what_it_leaves(tmp_path: Path) -> None:
    """And the command is ended too: it holds a pipe open until then."""
    backends = Busy(healthy)
    os.mkfifo(tmp_path / "pipe")
    hangs = python("import sys, time; pipe = open(sys.argv[1], 'w'); time.sleep(600)", str(tmp_path / "pipe"))
    async with served(tmp_path, backends) as config:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "lbproxy", "rollout", "-c", str(config), "--run", hangs, "--logs", str(tmp_path)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        pipe = await asyncio.to_thread(open, tmp_path / "pipe", "rb")  # until the command is there
        process.send_signal(signal.SIGINT)
        _, errors = await process.communicate()
        assert await asyncio.to_thread(pipe.read) == b""
        pipe.close()
    assert process.returncode == 1
    assert errors.decode().splitlines() == [
        "lbproxy: error: interrupted",
        "lbproxy: error: connectors/c1 stays drained; its command did not end well",
        "lbproxy: error: not touched: c2, c3",
        "lbproxy: error: to go on: the same command with --from c1, which updates it again",
        "lbproxy: error: or, if it is right by now: lbproxy ready c1, and the same command with --from c2",
    ]


class Sharing(Busy):
    """In a fleet, where c1 and c4 serve pool raw."""

    def snapshot(self) -> Snapshot:
        shown = super().snapshot()
        return {**shown, "pools": [*shown["pools"], pool("raw", backend("c1"), backend("c4"))], "fleet": fleet()}


async def test_a_pool_that_shares_an_instance_is_locked_too(tmp_path: Path, etcd_url: str) -> None:
    """Two rollouts that share two instances would drain both, each its own."""
    etcd = Etcd(Access((etcd_url,)))
    rollouts = Rollouts(etcd, uuid4().hex, "lb1")
    backends, told = Sharing(healthy), {"target": "c4", "step": "", "updated": []}
    asked = ("rollout", "--pool", "connectors", "--run", "true", "--logs", str(tmp_path / "logs"), "-c")
    async with served(tmp_path, backends, rollout_routes(rollouts)) as config:
        ticket = await rollouts.begin("raw", "bert", told, 1.0)
        result = await run(*asked, str(config))
        assert result.exit_code == 1
        assert "bert on lb1 rolls out pool raw already, at c4; a pool has one rollout at a time" in result.stderr
        assert backends.orders == []
        apart = await run(*asked, str(config), "--from", "c2")
        assert apart.exit_code == 0, "c2 and c3 are not in pool raw"
        await rollouts.end("raw", ticket, done=True)
        backends.orders.clear()
        result = await run(*asked, str(config))
        assert (result.exit_code, backends.orders[:2]) == (0, ["drain c1", "ready c1"])
        for name in ("connectors", "raw"):  # all were given back
            await rollouts.begin(name, "olga", told, 2.0)
    await etcd.close()
