from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lbproxy.demo.authority import Pair
from lbproxy.demo.children import Child
from lbproxy.demo.stack import DemoStack
from lbproxy.demo.tour import tour

STANDS_IN = "import signal; print('ready: here', flush=True); signal.pause()"


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[DemoStack]:
    """A stack of which only c2 runs."""
    stack = DemoStack(tmp_path / "a b", 0, kerberos=False, tell=print)
    stack.connectors = [
        Child(name, [sys.executable, "-c", STANDS_IN], tmp_path / name, "ready: ") for name in ("c1", "c2")
    ]
    await stack.connectors[1].start()
    stack.certificate = Pair(tmp_path / "bob.pem", tmp_path / "bob.key")
    yield stack
    await stack.connectors[1].stop()


async def test_the_one_to_kill_is_named_with_its_process(stack: DemoStack) -> None:
    stops = {stop.title: stop.command for stop in tour(stack)}
    assert stops["Kill c2"] == f"kill -9 {stack.connectors[1].pid}"


async def test_requests_go_to_the_server_url_and_trust_the_demos_authority(stack: DemoStack) -> None:
    first = tour(stack)[0]
    assert first.title == "One request without Kerberos"
    assert f"--resolve login.corp.example:{stack.port}:127.0.0.1 --cacert '{stack.ca}'" in first.command
    assert f"{stack.server_url}/users" in first.command


async def test_with_a_ticket_the_requests_are_kerberos(stack: DemoStack) -> None:
    stack.ticket = {"KRB5_CONFIG": "/x y/krb5.conf"}
    first = tour(stack)[0]
    assert first.title == "One request as alice, with a Kerberos ticket"
    assert first.command.startswith("KRB5_CONFIG='/x y/krb5.conf' curl ")
    assert f"--negotiate -u : {stack.server_url}/wsfed" in first.command


async def test_a_user_with_a_certificate_comes_both_ways(stack: DemoStack) -> None:
    minted, passed = [stop.command for stop in tour(stack) if "certificate" in stop.title]
    assert stack.certificate is not None
    for command, url in ((minted, stack.server_url), (passed, stack.passthrough_url)):
        assert f"--cert {stack.certificate.certificate} --key {stack.certificate.key} {url}/wsfed" in command
    assert f"--resolve login.corp.example:{stack.passthrough_port}:127.0.0.1" in passed


async def test_the_balancer_is_asked_on_the_demos_socket(stack: DemoStack) -> None:
    assert any(f"status --admin 'unix:{stack.directory}/admin.sock'" in stop.command for stop in tour(stack))
