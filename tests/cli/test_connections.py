"""`lbproxy connections`, of an admin interface that has some."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from lbproxy.cli import main
from lbproxy.cli.connections import page
from lbproxy.control.admin.connections import connection_routes
from lbproxy.control.admin.server import AdminServer
from lbproxy.control.admin.sockets import listen
from lbproxy.control.live_connections import NO_CONNECTIONS, ConnectionsView
from tests.control.admin.test_connections import OneConnection
from tests.control.live import connection


@pytest.fixture
async def one(tmp_path: Path) -> AsyncIterator[OneConnection]:
    found = OneConnection()
    server = AdminServer(listen(tmp_path / "admin.sock"), connection_routes(found))
    await server.start()
    yield found
    await server.stop()


async def run(folder: Path, *arguments: str) -> Result:
    where = ("--admin", f"unix:{folder}/admin.sock")
    return await asyncio.to_thread(CliRunner().invoke, main, [arguments[0], *where, *arguments[1:]])


def shown(view: ConnectionsView, newest: bool = False) -> list[str]:
    console = Console(file=io.StringIO(), width=200)
    console.print(page(view, newest))
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def some(**changes: object) -> ConnectionsView:
    return {**NO_CONNECTIONS, "open": 1, "matched": 1, "connections": [connection()], **changes}  # type: ignore[typeddict-item]


async def test_what_is_asked_for_is_asked(tmp_path: Path, one: OneConnection) -> None:
    result = await run(tmp_path, "connections", "--user", "alice", "--address", "10.0.0.9", "--limit", "5", "--newest")
    assert result.exit_code == 0, result.output
    assert "10.0.0.9:51234" in result.output
    assert (one.asked[0].user, one.asked[0].address, one.asked[0].limit, one.asked[0].newest) == (
        "alice",
        "10.0.0.9",
        5,
        True,
    )


async def test_as_json(tmp_path: Path, one: OneConnection) -> None:
    assert json.loads((await run(tmp_path, "connections", "--json")).stdout)["connections"] == [connection()]


async def test_what_is_refused_is_an_error(tmp_path: Path, one: OneConnection) -> None:
    result = await run(tmp_path, "connections", "--pool", "other")
    assert (result.exit_code, result.stderr) == (1, "lbproxy: error: there is no pool other\n")
    result = await run(tmp_path, "connections", "--address", "here")
    assert (result.exit_code, result.stderr) == (1, "lbproxy: error: address: not an IP address, and not a network\n")
    assert (await run(tmp_path, "connections", "--limit", "0")).exit_code == 2


def test_a_line_says_what_it_waits_for() -> None:
    assert shown(some())[1:] == [
        "4711-57-4f8k2j1q  10.0.0.9:51234  CN=alice,O=Corp  login, connectors  the answer, for 3s  c1 (its own)  2m 5s"
        "        12  9.0k  70k",
        "1 connection",
    ]
    assert "bytes, of either side  " in shown(some(connections=[connection(phase="tunnel")]))[1]


def test_what_is_left_out_is_counted() -> None:
    assert shown(some(open=9812, matched=4000))[-1] == (
        "4000 of 9812 connections; those open for longest 1 are shown, --limit shows more"
    )
    assert shown(some(open=3, matched=3, handshakes=2, unanswered=1), newest=True)[-3:] == [
        "3 connections; the newest 1 are shown, --limit shows more",
        "2 of the open ones have not finished their TLS handshake or PROXY header",
        "1 workers have not answered in time: theirs are missing",
    ]
    assert shown(NO_CONNECTIONS) == ["0 connections"]


def test_what_a_client_says_cannot_steer_the_terminal() -> None:
    assert "CN=\\x1b[2J[red]" in shown(some(connections=[connection(user="CN=\x1b[2J[red]")]))[1]
