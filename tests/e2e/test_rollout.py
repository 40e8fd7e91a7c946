"""`lbproxy rollout` updates connectors that users are served by, without one of them noticing."""

from __future__ import annotations

import asyncio
import os
import pwd
import shlex
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from lbproxy.dashboard.balancer import Balancer as Admin
from tests.docs.pages import block

from .backend import Lane, ScriptedBackend, answer
from .balancer import Balancer, command
from .conftest import Backends, Balance
from .reloads import reload
from .starting import Process, lbproxy

ME = pwd.getpwuid(os.getuid()).pw_name

WORK = 0.02  # seconds
CHECK = {"kind": "http", "path": "/healthz", "interval": "100ms", "rise": 1}


class Connector:
    """A script that answers probes at once and users after a moment's work, with its version."""

    def __init__(self) -> None:
        self.version = b"1.7.9"

    async def __call__(self, lane: Lane) -> None:
        while seen := await lane.request():
            if seen.target != b"/healthz":
                await asyncio.sleep(WORK)
            await lane.send(answer(self.version))


class Operator:
    """What the command of a rollout talks to: it restarts the backend that is named, as a newer version."""

    def __init__(self, members: list[ScriptedBackend], scripts: list[Connector], broken: str = "") -> None:
        self.members = {member.name: member for member in members}
        self.scripts = dict(zip(self.members, scripts, strict=True))
        self.broken = broken
        self.updated: list[str] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        name = (await reader.readline()).decode().strip()
        self.updated.append(name)
        await self.members[name].stop()
        if name != self.broken:
            self.scripts[name].version = b"1.8.0"
            await self.members[name].start()
            writer.write(b"done")
        writer.close()


@asynccontextmanager
async def commanded(operator: Operator) -> AsyncIterator[str]:
    """The command line that reaches `operator`; its exit status is 0 if that said "done"."""
    async with await asyncio.start_server(operator, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        code = f"""
import socket, sys
sock = socket.create_connection(("127.0.0.1", {port}))
sock.sendall(sys.argv[1].encode() + b"\\n")
sys.exit(sock.makefile("rb").read() != b"done")
"""
        yield shlex.join([sys.executable, "-c", code, "{name}"])


class Users:
    """Client connections that ask without a pause until they are told to stop; `seen` counts what they got.

    At any moment most of them wait for an answer, and most of these to a POST, which is never repeated.
    """

    def __init__(self, balancer: Balancer, count: int = 8) -> None:
        self._balancer = balancer
        self._stop = False
        self._tasks = [asyncio.ensure_future(self._ask()) for _ in range(count)]
        self.seen: Counter[tuple[int, bytes]] = Counter()

    async def _ask(self) -> None:
        while not self._stop:
            async with await self._balancer.connect() as client:
                for method in ("POST", "GET", "POST"):
                    response = await client.ask("/", method, body=b"x" if method == "POST" else None)
                    self.seen[response.status, response.body] += 1

    async def stop(self) -> None:
        self._stop = True
        errors = await asyncio.gather(*self._tasks, return_exceptions=True)
        assert not list(filter(None, errors)), errors


async def roll_out(balancer: Balancer, line: str, *arguments: str) -> tuple[int, str, str]:
    logs = str(balancer.path.parent / "logs")
    return await command("rollout", "-c", str(balancer.path), "--run", line, "--logs", logs, *arguments)


async def test_users_lose_nothing(backends: Backends, balance: Balance) -> None:
    scripts = [Connector() for _ in range(3)]
    members = await backends(*scripts)
    balancer = await balance(*members, pool={"check": CHECK})
    operator = Operator(members, scripts)
    async with commanded(operator) as line:
        users = Users(balancer)
        code, out, err = await roll_out(balancer, line)
        await users.stop()
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == "updated: c1, c2, c3"
    assert operator.updated == ["c1", "c2", "c3"]
    assert set(users.seen) == {(200, b"1.7.9"), (200, b"1.8.0")}
    assert (await balancer.ask()).body == b"1.8.0"
    assert all(one["in_rotation"] and not one["errors"] for one in (await balancer.backends()).values())


REMOTE = {
    "ssh": 'host=$1; shift; REMOTE_HOST=$host exec "$@"',
    "sudo": 'exec "$@"',
    "systemctl": '[ "$*" = "restart auth0-adldap" ] && exec {reach} "$REMOTE_HOST"',
}
"""What stands for these programs: the rest of the line is run here, and systemctl talks to the `Operator`."""


async def test_the_printed_commands(balance: Balance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of docs/connectors/auth0.md, as an administrator types them: the first is a dry run."""
    scripts = [Connector() for _ in range(3)]
    members = [ScriptedBackend(f"c{n}", script, host=f"127.0.0.{n}") for n, script in enumerate(scripts, 1)]
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    async with AsyncExitStack() as stack:
        for member in members:
            await member.start()
            stack.push_async_callback(member.stop)
        balancer = await balance(*members, pool={"check": CHECK})
        operator = Operator(members, scripts)
        operator.members = {member.host: member for member in members}
        operator.scripts = {member.host: script for member, script in zip(members, scripts, strict=True)}
        reach = (await stack.enter_async_context(commanded(operator))).removesuffix(" '{name}'")
        for name, text in REMOTE.items():
            (tmp_path / name).write_text(f"#!/bin/sh\n{text.replace('{reach}', reach)}\n")
            (tmp_path / name).chmod(0o755)
        told = []
        for line in block("connectors/auth0.md", "lbproxy rollout").splitlines():
            words = [*shlex.split(line)[1:], "-c", str(balancer.path), "--logs", str(tmp_path / "logs")]
            told.append((await command(*words), list(operator.updated)))
    [(dry, before), (done, after)] = told
    assert (dry[0], before) == (0, [])
    assert (done, after) == ((0, done[1], ""), ["127.0.0.1", "127.0.0.2", "127.0.0.3"])
    assert done[1].splitlines()[-1] == "updated: c1, c2, c3"
    assert {script.version for script in scripts} == {b"1.8.0"}


async def test_a_failure_leaves_the_others_serving_and_can_be_continued(backends: Backends, balance: Balance) -> None:
    scripts = [Connector() for _ in range(3)]
    members = await backends(*scripts)
    balancer = await balance(*members, pool={"check": CHECK})
    operator = Operator(members, scripts, broken="c2")
    async with commanded(operator) as line:
        users = Users(balancer)
        code, _, err = await roll_out(balancer, line)
        await users.stop()
        assert code == 1
        log = Path(balancer.path.parent / "logs" / "connectors" / "c2.log")
        assert f"connectors/c2: the command ended with status 1; its output is in {log}" in err
        assert log.exists()
        assert {status for status, _ in users.seen} == {200}
        status = await balancer.backends()
        assert [status[name]["in_rotation"] for name in ("c1", "c2", "c3")] == [True, False, True]
        operator.broken = ""
        code, out, err = await roll_out(balancer, line, "--from", "c2")
    assert (code, err, out.splitlines()[-1]) == (0, "", "updated: c2, c3")
    assert operator.updated == ["c1", "c2", "c2", "c3"]
    assert {(await balancer.ask()).body for _ in range(3)} == {b"1.8.0"}


async def test_a_guard_that_ejects_the_minority_lets_an_update_pass(backends: Backends, balance: Balance) -> None:
    """The first one that is updated is unlike the others, and so are those that are left, later."""
    scripts = [Connector() for _ in range(3)]
    members = await backends(*scripts)
    facts = {"version": {"path": "/", "regex": "(.+)"}}
    consistency = {"policy": "eject-minority", "interval": "1h", "facts": facts}
    balancer = await balance(*members, pool={"check": CHECK, "consistency": consistency})
    operator = Operator(members, scripts)
    async with commanded(operator) as line:
        users = Users(balancer)
        code, _, err = await roll_out(balancer, line, "--expect", "version=1.8.0", "--keep", "2")
        await users.stop()
    assert (code, err) == (0, "")
    assert set(users.seen) == {(200, b"1.7.9"), (200, b"1.8.0")}
    assert not [line for line in balancer.log if "reason=consistency" in line]
    assert all(one["in_rotation"] for one in (await balancer.backends()).values())
    await balancer.logged("facts_agree")


async def test_it_does_not_begin_with_too_few(backends: Backends, balance: Balance) -> None:
    balancer = await balance(*await backends(Connector()))
    code, out, err = await roll_out(balancer, "true")
    assert (code, out) == (1, "")
    assert "without c1, pool connectors has 0 in rotation (none); 1 must stay" in err
    assert (await balancer.ask()).status == 200


async def _ending(process: Process) -> list[str]:
    """What a rollout that stops has to say."""
    _, err = await process.communicate()
    assert process.returncode == 1
    return err.decode().splitlines()


async def test_of_two_at_once_one_begins_and_it_is_cancelled_from_elsewhere(
    backends: Backends, balance: Balance
) -> None:
    """Without a fleet: the balancer keeps who has the pool, also over a reload."""
    balancer = await balance(*await backends(*(Connector() for _ in range(3))), pool={"check": CHECK})
    logs = str(balancer.path.parent / "logs")
    asked = ("rollout", "-c", str(balancer.path), "--logs", logs, "--run", "sleep 600")
    both = [await lbproxy(*asked) for _ in range(2)]
    ending = [asyncio.ensure_future(_ending(one)) for one in both]
    [loser], [winner] = await asyncio.wait(ending, return_when=asyncio.FIRST_COMPLETED)
    assert f"{ME} rolls out pool connectors already" in loser.result()[0]
    await balancer.logged("backend_drained", "backend=c1")
    await reload(balancer)
    [shown] = (await balancer.status())["rollouts"]
    assert (shown["held"], shown["target"], shown["by"], shown["updated"]) == (True, "c1", ME, [])
    admin = Admin(Path(balancer.config["admin"]["bind"].removeprefix("unix:")))
    await admin.cancel_rollout("connectors", "olga")
    lines = await winner
    assert lines[0] == f"lbproxy: error: the rollout was cancelled by olga via {ME}"
    assert lines[1].startswith("lbproxy: error: connectors/c1 stays drained; its command ")
    [shown] = (await balancer.status())["rollouts"]
    assert (shown["held"], shown["target"]) == (False, "c1")
    await admin.cancel_rollout("connectors", "olga")
    assert (await balancer.status())["rollouts"] == []
    await admin.close()
    await balancer.logged("rollout_begun", f"by={ME}")
    await balancer.logged("rollout_cancelled", f'by="olga via {ME}"', count=2)
