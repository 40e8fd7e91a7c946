"""What a service manager is told, on a real socket."""

from __future__ import annotations

import os
import socket
import tempfile
import time
from collections.abc import Callable

import pytest

from lbproxy.process.master.sd_notify import Notifier


def test_says_nothing_where_nobody_listens() -> None:
    Notifier({}).ready("serving")


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda n: n.ready("serving"), b"READY=1\nSTATUS=serving\n"),
        (lambda n: n.stopping(), b"STOPPING=1\nSTATUS=draining\n"),
        (lambda n: n.status("x"), b"STATUS=x\n"),
        (lambda n: n.status("x\nMAINPID=1"), b"STATUS=x MAINPID=1\n"),
        (lambda n: n.alive(), b"WATCHDOG=1\n"),
    ],
)
def test_speaks_the_protocol(call: Callable[[Notifier], None], expected: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"{folder}/notify")
        call(Notifier({"NOTIFY_SOCKET": f"{folder}/notify"}))
        assert manager.recv(1000) == expected


def test_tells_when_a_reload_began_over_an_abstract_socket() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0lbproxy-test-{time.monotonic_ns()}")
        before = time.monotonic_ns() // 1000
        Notifier({"NOTIFY_SOCKET": "@" + manager.getsockname()[1:].decode()}).reloading()
        flag, at = manager.recv(1000).split()
        assert flag == b"RELOADING=1"
        assert before <= int(at.removeprefix(b"MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000


@pytest.mark.parametrize(
    ("environment", "patience"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": str(os.getpid())}, 0.5),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": "1"}, None),
    ],
)
def test_how_patient_the_watchdog_is(environment: dict[str, str], patience: float | None) -> None:
    assert Notifier(environment).patience == patience


def test_a_manager_that_is_gone_is_logged_only(caplog: pytest.LogCaptureFixture) -> None:
    Notifier({"NOTIFY_SOCKET": "/nonexistent/notify"}).alive()
    assert "notify_failed" in caplog.text
