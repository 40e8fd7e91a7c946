"""Events and the access log in a syslog and the journal, of all processes; and what a receiver that is away costs."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from tests.prometheus import needs_prometheus

from .backend import Lane, ScriptedBackend
from .balancer import Balancer, running
from .configuration import configuration
from .conftest import Backends
from .progress import DEADLINE
from .reloads import comes_true
from .surroundings import Surroundings
from .test_admin import metrics
from .test_prometheus import fires

JOURNALD = Path("/usr/lib/systemd/systemd-journald")


class Received:
    """A syslog: what has come to a socket of its own."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._lines: list[str] = []

    def lines(self, *words: str) -> list[str]:
        """Those so far that have all of `words`."""
        while True:
            try:
                self._lines.append(self._socket.recv(65536).decode())
            except BlockingIOError:
                return [line for line in self._lines if all(word in line for word in words)]

    async def until(self, *words: str) -> str:
        """Wait for a line that has all of `words`."""
        await comes_true(lambda: bool(self.lines(*words)))
        return self.lines(*words)[0]


async def malformed(lane: Lane) -> None:
    """Its answer is none: the worker that asked says so."""
    if await lane.request():
        await lane.send(b"nonsense\r\n\r\n")


def logging_to(directory: Path, backends: list[ScriptedBackend], to: str, access: str, **top: Any) -> dict[str, Any]:
    config = configuration(directory, [(one.name, one.url) for one in backends], log={"to": to}, **top)
    return {**config, "access_log": {"to": access}}


async def trouble(balancer: Balancer) -> None:
    """A worker has something to say, and then the master has."""
    assert (await balancer.ask("/what")).status == 502
    balancer.path.write_text("workerz = 2")
    balancer.signal(signal.SIGHUP)


@pytest.mark.parametrize("workers", [1, 2])
async def test_all_processes_write_to_a_syslog(backends: Backends, directory: Path, workers: int) -> None:
    local_path = directory / "dev-log"
    with (
        closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as network,
        closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as local,
    ):
        network.bind(("127.0.0.1", 0))
        local.bind(str(local_path))
        events, accesses = Received(network), Received(local)
        to = f"syslog:udp://127.0.0.1:{network.getsockname()[1]}"
        config = logging_to(directory, await backends(malformed), to, f"syslog:{local_path}", workers=workers)
        async with running(config, directory) as balancer:
            await trouble(balancer)
            assert (await events.until("response_refused")).startswith("<28>1 2")
            line = await events.until("reload_failed")
            assert line.startswith("<27>1 2")
            assert f" lbproxy {balancer.master} reload_failed - reload_failed " in line
            line = await accesses.until('"target":"/what"')
            assert line.startswith("<30>")
            record = json.loads(line.partition("]: ")[2])
            assert (record["status"], record["reason"]) == (502, "response_malformed")
            assert [one for one in balancer.log if "ready: " not in one] == []
            assert balancer.access_lines == []


@needs_prometheus
async def test_a_syslog_that_is_away_costs_no_request(backends: Backends, directory: Path, tmp_path: Path) -> None:
    path = directory / "dev-log"
    config = logging_to(directory, await backends(), f"syslog:{path}", f"syslog:{path}")
    async with running(config, directory) as balancer:
        for _ in range(3):
            assert (await balancer.ask()).status == 200
        await balancer.logged("log_lost_lines", "No such file or directory")
        found = await balancer.until(lambda seen: seen["access_log"]["dropped"] == 3)
        lost = found["log_lines"]["dropped"]
        assert lost
        sample = (await metrics(balancer))["lbproxy_log_dropped_total"]
        fires(tmp_path, {"lbproxy_log_dropped_total": f"0x10 {sample!r}x30"}, "LbproxyLogDropped")
        with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as sock:
            sock.bind(str(path))
            back = Received(sock)
            await _until_back(balancer, back)


async def _until_back(balancer: Balancer, back: Received) -> None:
    """Requests go on until the log has one of them."""
    async with asyncio.timeout(DEADLINE):
        while not back.lines('"target":"/back"'):
            assert (await balancer.ask("/back")).status == 200


@asynccontextmanager
async def journal() -> AsyncIterator[tuple[Surroundings, str]]:
    """A journal of its own, the surroundings in which it is that of the host, and its name for journalctl."""
    name = f"lbproxy-test-{os.getpid()}"
    there = Path(f"/run/systemd/journal.{name}")
    process = await asyncio.create_subprocess_exec(JOURNALD, name, stderr=asyncio.subprocess.DEVNULL)
    try:
        await comes_true(lambda: (there / "socket").exists())
        steps = [
            f"mount --bind {there} /mnt",
            "mount -t tmpfs tmpfs /run/systemd",
            "mkdir /run/systemd/journal",
            "mount --bind /mnt /run/systemd/journal",
            'exec "$@"',
        ]
        yield Surroundings(["unshare", "--mount", "sh", "-c", " && ".join(steps), "sh"]), name
    finally:
        process.terminate()
        await process.wait()
        kept = [*Path("/run/log/journal").glob(f"*.{name}"), *Path("/var/log/journal").glob(f"*.{name}")]
        for path in (there, *kept):
            shutil.rmtree(path, ignore_errors=True)


def can_have_a_journal() -> bool:
    """It takes systemd's program, and root."""
    return JOURNALD.exists() and not subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode


@pytest.mark.skipif(not can_have_a_journal(), reason="needs systemd-journald, and mount namespaces")
async def test_the_journal_has_events_field_by_field(backends: Backends, directory: Path) -> None:
    async with journal() as (around, name):

        def entries(*matches: str) -> list[dict[str, Any]]:
            words = ["journalctl", f"--namespace={name}", "--output=json", *matches]
            said = subprocess.run(words, capture_output=True, text=True, check=False).stdout
            return [json.loads(line) for line in said.splitlines()]

        config = logging_to(directory, await backends(malformed), "journald", "journald")
        async with running(config, directory, around=around) as balancer:
            await trouble(balancer)
            await comes_true(lambda: bool(entries("LBPROXY_EVENT=reload_failed")))
            await comes_true(lambda: bool(entries("SYSLOG_IDENTIFIER=lbproxy-access")))
            [entry] = entries("LBPROXY_EVENT=response_refused")
            assert (entry["PRIORITY"], entry["SYSLOG_IDENTIFIER"]) == ("4", "lbproxy")
            assert entry["MESSAGE"].startswith("response_refused ")
            [entry] = entries("SYSLOG_IDENTIFIER=lbproxy-access")
            assert json.loads(entry["MESSAGE"])["target"] == "/what"
