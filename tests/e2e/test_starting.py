"""What a fork server starts is what its command line would start."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from lbproxy.errors import StartError
from tests.control.probes.backends import silent
from tests.namespaces import OWN_NETWORK, Switch, needs_root
from tests.ports import free_port

from .balancer import Balancer, command, opened, running
from .configuration import configuration
from .instance import Instance
from .reloads import comes_true
from .starting import SAMPLE, Forked, Process, lbproxy
from .surroundings import BY_COMMAND_LINE, PLAIN, Surroundings

pytestmark = pytest.mark.skipif(
    bool(os.environ.get("LBPROXY_FULL")), reason="LBPROXY_FULL=1 starts all by their command line"
)

LIBRARYS_OWN = 1 << 31
"""Signal 32, of the C library's threads (nptl(7)): what posix_spawn(3) starts ignores it."""

NOBODY = [("c1", "http://127.0.0.1:1")]


def seen(pid: int) -> dict[str, Any]:
    """What proc(5) shows of a process that depends on how it was started."""
    folder = Path(f"/proc/{pid}")
    lines = (folder / "status").read_text().splitlines()
    states = dict(re.split(r":\s*", line, maxsplit=1) for line in lines)
    signals = {name: int(states[name], 16) & ~LIBRARYS_OWN for name in ("SigBlk", "SigIgn", "SigCgt", "SigPnd")}
    # The number of a socket is its own.
    descriptors = Counter(re.sub(r"\d+", "N", one) for one in opened(pid))
    return {
        "cwd": (folder / "cwd").readlink(),
        "descriptors": descriptors,
        "limits": (folder / "limits").read_text(),
        **{name: states[name] for name in ("Threads", "Umask", "CapEff")},
        **signals,
    }


def processes(balancer: Balancer) -> list[dict[str, Any]]:
    """What is seen of each process, but for the socket by which a forked master orders generations."""
    master, *others = [seen(pid) for pid in (balancer.master, balancer.pid, *balancer.workers)]
    master["descriptors"]["socket:[N]"] -= isinstance(balancer.process, Forked)
    return [master, *others]


@pytest.mark.parametrize(("kind", "workers"), [("none", 1), ("none", 2), ("http", 1)])
async def test_nothing_is_left_of_the_fork_server(directory: Path, kind: str, workers: int) -> None:
    folders = [directory / "forked", directory / "started"]
    for folder in folders:
        folder.mkdir()
    pool = {"check": {"kind": kind, "interval": "1h"}}
    configs = [configuration(folder, NOBODY, pool=pool, workers=workers) for folder in folders]
    async with (
        running(configs[0], folders[0]) as forked,
        running(configs[1], folders[1], around=BY_COMMAND_LINE) as started,
    ):
        assert isinstance(forked.process, Forked)
        assert not isinstance(started.process, Forked)
        with suppress(TimeoutError):
            await comes_true(lambda: processes(forked) == processes(started))
        assert processes(forked) == processes(started)


@pytest.mark.parametrize("kind", ["none", "http"])
async def test_the_next_generation_is_forked_as_well_and_the_next_program_is_started(
    directory: Path, kind: str
) -> None:
    config = configuration(directory, NOBODY, pool={"check": {"kind": kind, "interval": "1h"}})
    async with running(config, directory) as balancer:
        first = balancer.pid
        as_first = seen(first)
        balancer.signal(signal.SIGHUP)
        await balancer.logged("generation_serves", "generation=2")
        await comes_true(lambda: first not in balancer.generations)
        assert "tests.e2e.forkserver" in Path(f"/proc/{balancer.pid}/cmdline").read_text()
        with suppress(TimeoutError):
            await comes_true(lambda: seen(balancer.pid) == as_first)
        assert seen(balancer.pid) == as_first
        balancer.signal(signal.SIGUSR2)
        await balancer.logged("generation_serves", "generation=3")
        words = Path(f"/proc/{balancer.pid}/cmdline").read_text().split("\0")
        assert words[1:5] == ["-P", "-m", "lbproxy.process", "generation"]
        assert b"resume" in Path(f"/proc/{balancer.master}/cmdline").read_bytes()


async def test_how_it_ended_is_known(directory: Path) -> None:
    balancer = await Balancer.start(configuration(directory, NOBODY), directory)
    assert balancer.process.returncode is None
    await balancer.kill()
    assert balancer.process.returncode == -signal.SIGKILL
    with pytest.raises(ProcessLookupError):
        balancer.process.kill()


async def test_one_that_cannot_start_says_why(directory: Path) -> None:
    config = configuration(directory, NOBODY)
    with pytest.raises(AssertionError, match="no_such_key"):
        await Balancer.start({**config, "no_such_key": 1}, directory)


async def test_kerberos_variables_are_those_of_the_test(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next program, which is started by its command line, shows them."""
    monkeypatch.setenv("KRB5_TRACE", "/dev/null")
    async with running(configuration(directory, NOBODY), directory) as balancer:
        assert isinstance(balancer.process, Forked)
        balancer.signal(signal.SIGUSR2)
        await balancer.logged("generation_serves", "generation=2")
        assert b"KRB5_TRACE=/dev/null" in Path(f"/proc/{balancer.pid}/environ").read_bytes().split(b"\0")


async def test_other_variables_are_for_the_command_line(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_ARENA_MAX", "2")
    async with running(configuration(directory, NOBODY), directory) as balancer:
        assert not isinstance(balancer.process, Forked)


async def test_a_connector_leads_a_group_and_writes_one_output(directory: Path) -> None:
    port = free_port()
    command = [*SAMPLE, "--name", "c1", "--port", str(port)]
    one, second = [Instance("c1", port, command, directory / log, "listening: ", {}) for log in ("log", "second")]
    await one.start()
    assert one.last_words == f"listening: {one.url}"
    words = Path(f"/proc/{one.pid}/cmdline").read_text().split("\0")
    assert words[1:4] == ["-m", "tests.e2e.forkserver", "connector"]
    with pytest.raises(StartError, match="Address already in use"):
        await second.start()
    await one.kill()
    with pytest.raises(ProcessLookupError):
        os.killpg(one.pid, 0)


@asynccontextmanager
async def waiting_commands(directory: Path) -> AsyncIterator[Callable[..., Awaitable[Process]]]:
    """A command that asks for something and waits for the answer, for as long as the block is; it has asked."""
    asked = asyncio.Event()

    async def start(around: Surroundings = PLAIN) -> Process:
        asked.clear()
        process = await lbproxy("status", "--admin", f"unix:{path}", around=around)
        await asked.wait()
        return process

    path = directory / "asked.sock"
    async with await asyncio.start_unix_server(silent(asked), path):
        yield start


async def test_nothing_is_left_of_the_fork_server_in_a_command(directory: Path) -> None:
    async with waiting_commands(directory) as start:
        both = [await start(around) for around in (PLAIN, BY_COMMAND_LINE)]
        assert [isinstance(one, Forked) for one in both] == [True, False]
        forked, started = [one.pid for one in both]
        assert seen(forked) == seen(started)
        for one in both:
            one.send_signal(signal.SIGINT)
        said = [await one.communicate() for one in both]
        assert said == [(b"", b"\nAborted!\n")] * 2
        assert [one.returncode for one in both] == [1, 1]


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["--version"], 0),
        (["drain"], 2),
        (["backend", "add", "--no-such-option"], 2),
        (["check", "-c", "no.toml"], 1),
        (["health", "--admin", "127.0.0.1:9"], 1),
    ],
)
async def test_a_command_says_and_returns_the_same(words: list[str], status: int) -> None:
    forked, started = [await command(*words, around=around) for around in (PLAIN, BY_COMMAND_LINE)]
    assert forked == started
    assert forked[0] == status


async def test_how_a_command_ended_is_known(directory: Path) -> None:
    async with waiting_commands(directory) as start:
        process = await start()
        assert process.returncode is None
        process.terminate()
        await process.communicate()
        assert process.returncode == -signal.SIGTERM
        with pytest.raises(ProcessLookupError):
            process.terminate()


@needs_root
async def test_it_is_in_the_network_of_its_host_or_of_the_test(directory: Path) -> None:
    config = configuration(directory, NOBODY)

    async def networks(around: Surroundings = PLAIN) -> set[int]:
        async with running(config, directory, around=around) as balancer, waiting_commands(directory) as start:
            process = await start(around)
            assert isinstance(balancer.process, Forked)
            assert isinstance(process, Forked)
            pids = (balancer.master, balancer.pid, process.pid)
            found = {Path(f"/proc/{pid}/ns/net").stat().st_ino for pid in pids}
            process.kill()
            await process.communicate()
            return found

    with Switch("a") as switch:
        host = switch.hosts["a"]
        there = host.network.stat().st_ino
        assert await networks(Surroundings(network=host.network)) == {there}
        with host.entered():
            assert await networks() == {there}
        assert await networks() == {OWN_NETWORK.stat().st_ino} != {there}
