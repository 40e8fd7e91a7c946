from __future__ import annotations

import json
import time
from pathlib import Path

from rich.console import Console

from lbproxy.cli.fleet import page
from lbproxy.control.fleet.views import FleetView, ReplicaDifferenceView, TicketsView
from lbproxy.control.snapshot import Snapshot
from tests.cli.served import Busy, run, served
from tests.control import sample

NOW = 1795246800.0


class InFleet(Busy):
    """A balancer of a fleet."""

    def __init__(self, view: FleetView | None) -> None:
        super().__init__()
        self.view = view

    def snapshot(self) -> Snapshot:
        return {**super().snapshot(), "fleet": self.view}


def shown(view: FleetView, now: float = NOW) -> str:
    console = Console(width=200)
    with console.capture() as capture:
        for part in page(view, now):
            console.print(part)
    return capture.get()


async def test_json_is_all_of_it(tmp_path: Path) -> None:
    async with served(tmp_path, InFleet(sample.fleet())) as config:
        result = await run("fleet", "-c", str(config), "--json")
    assert (result.exit_code, json.loads(result.stdout)) == (0, sample.fleet())


async def test_a_balancer_without_a_fleet(tmp_path: Path) -> None:
    async with served(tmp_path, InFleet(None)) as config:
        result = await run("fleet", "-c", str(config))
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "lbproxy: error: this balancer is in no fleet: its configuration has no [fleet]\n"


async def test_the_page(tmp_path: Path) -> None:
    async with served(tmp_path, InFleet(sample.fleet())) as config:
        result = await run("fleet", "-c", str(config))
    first, _, heading, *rows = result.stdout.splitlines()
    assert first == "fleet login-eu, here as lb1: member; 2 replicas"
    assert heading.split() == ["replica", "state", "host", "version", "configuration", "serves", "backends", "up"]
    assert [row.split()[0] for row in rows] == ["lb1", "lb2"]
    assert "(this one)" in rows[0]
    assert "connectors: 2 up, 1 down" in rows[1]


def test_who_is_gone_or_differs_and_since_when() -> None:
    differs = ReplicaDifferenceView(what="version", here="0.2.0", elsewhere="0.1.0", since=NOW - 65)
    alone = ReplicaDifferenceView(what="configuration", here="b", elsewhere=None, since=NOW - 5)
    replicas = (
        sample.replica("lb1"),
        sample.replica("lb2", differs=[differs, alone]),
        sample.replica("lb3", gone=NOW - 3),
    )
    text = shown(sample.fleet(*replicas))
    assert "2 replicas" in text
    assert "no answer for 3s" in text
    assert "  lb2: version 0.2.0, most have 0.1.0, for 1m 5s\n" in text
    assert "  lb2: configuration b, the others have several, for 5s\n" in text


def test_values_that_are_left_alone() -> None:
    text = shown(sample.fleet(ignored={"/lbproxy/f/replicas/lb9": "not JSON"}))
    assert "  /lbproxy/f/replicas/lb9 is left alone: not JSON\n" in text


def test_a_replica_cannot_steer_the_terminal() -> None:
    assert "\x1b" not in shown(sample.fleet(sample.replica("lb2", host="\x1b[31mred[/]")))


def test_the_clock_of_another_host_may_be_ahead() -> None:
    assert " 0s" in shown(sample.fleet(sample.replica("lb2", since=time.time() + 99)))


def test_whether_tls_sessions_resume_everywhere() -> None:
    tickets: TicketsView = {"secret": "3f2a", "shared": True, "why": "", "key": 7, "made": NOW - 3600}
    text = shown(sample.fleet(tickets=tickets))
    assert "TLS sessions resume on every replica that has secret_file 3f2a: key 7, made 1h 0m ago\n" in text
    alone: TicketsView = {**tickets, "shared": False, "why": "no key can be used", "key": 0, "made": None}
    assert "TLS sessions resume on this replica only: no key can be used\n" in shown(sample.fleet(tickets=alone))
    differs = ReplicaDifferenceView(what="secret_file", here="none", elsewhere="3f2a", since=NOW - 65)
    text = shown(sample.fleet(sample.replica("lb1"), sample.replica("lb2", differs=[differs])))
    assert "  lb2: secret_file none, most have 3f2a, for 1m 5s\n" in text
