from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lbproxy.demo.authority import Pair
from lbproxy.demo.children import Child
from lbproxy.demo.tour import tour
from lbproxy.demo.town import Town

STANDS_IN = "import signal; print('ready: here', flush=True); signal.pause()"


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    """A town of which only c2 runs."""
    town = Town(tmp_path / "a b", 0, kerberos=False, tell=print)
    town.connectors = [
        Child(name, [sys.executable, "-c", STANDS_IN], tmp_path / name, "ready: ") for name in ("c1", "c2")
    ]
    await town.connectors[1].start()
    town.certificate = Pair(tmp_path / "bob.pem", tmp_path / "bob.key")
    yield town
    await town.connectors[1].stop()


async def test_the_one_to_kill_is_named_with_its_process(town: Town) -> None:
    stops = {stop.title: stop.command for stop in tour(town)}
    assert stops["Kill c2"] == f"kill -9 {town.connectors[1].pid}"


async def test_requests_go_to_the_server_url_and_trust_the_demos_authority(town: Town) -> None:
    first = tour(town)[0]
    assert first.title == "One request without Kerberos"
    assert f"--resolve login.corp.example:{town.port}:127.0.0.1 --cacert '{town.ca}'" in first.command
    assert f"{town.server_url}/users" in first.command


async def test_with_a_ticket_the_requests_are_kerberos(town: Town) -> None:
    town.ticket = {"KRB5_CONFIG": "/x y/krb5.conf"}
    first = tour(town)[0]
    assert first.title == "One request as alice, with a Kerberos ticket"
    assert first.command.startswith("KRB5_CONFIG='/x y/krb5.conf' curl ")
    assert f"--negotiate -u : {town.server_url}/wsfed" in first.command


async def test_a_user_with_a_certificate_comes_both_ways(town: Town) -> None:
    minted, passed = [stop.command for stop in tour(town) if "certificate" in stop.title]
    assert town.certificate is not None
    for command, url in ((minted, town.server_url), (passed, town.passthrough_url)):
        assert f"--cert {town.certificate.certificate} --key {town.certificate.key} {url}/wsfed" in command
    assert f"--resolve login.corp.example:{town.passthrough_port}:127.0.0.1" in passed


async def test_the_balancer_is_asked_on_the_demos_socket(town: Town) -> None:
    assert any(f"status --admin 'unix:{town.directory}/admin.sock'" in stop.command for stop in tour(town))
