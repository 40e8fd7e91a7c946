"""The process under test: what `lbproxy run -c FILE` becomes."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from .client import Client
from .configuration import toml
from .message import Response
from .progress import DEADLINE, Progress
from .starting import Process, lbproxy, master
from .surroundings import FORKS_GENERATIONS, PLAIN, Surroundings

_BAD_SIGNS = re.compile(r"Traceback|traceback=|Exception ignored|never awaited|never retrieved|internal")
"""What no log of lbproxy may contain, whatever its peers do ("internal" is its own word for a fault in itself)."""


class Balancer:
    """A running balancer.

    log           its lines on standard error
    access_lines  its access log as written, on standard output
    access        the same, each line parsed
    """

    def __init__(self, config: Mapping[str, Any], path: Path, process: Process) -> None:
        self.config = config
        self.path = path
        self.process = process
        self.log: list[str] = []
        self.access_lines: list[bytes] = []
        self.access: list[dict[str, Any]] = []
        self.tls: ssl.SSLContext | None = None
        self._progress = Progress()
        self._readers = [asyncio.ensure_future(self._read_log()), asyncio.ensure_future(self._read_access())]

    @classmethod
    async def start(cls, config: Mapping[str, Any], directory: Path, around: Surroundings = PLAIN) -> Balancer:
        """Start it and return once it is ready; AssertionError with its log when it ends instead.

        It is started as what `lbproxy run` becomes, mostly by the fork server. The command itself is run where it
        matters: by a service manager, with limits, and with the contract's files.
        """
        path = directory / "lbproxy.toml"
        path.write_text(toml(config))
        balancer = cls(config, path, await master(path, around))
        try:
            await balancer.ready()
        except BaseException:
            await balancer.kill()
            raise
        return balancer

    async def ready(self) -> None:
        await self._progress.until(lambda: self._ready_line() or self._readers[0].done())
        assert self._ready_line(), "\n".join(["it ended instead of getting ready:", *self.log])

    def _ready_line(self) -> bool:
        return any(f"ready: {self.config['server_url']}" in line for line in self.log)

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.config["listener"]["login"]["bind"].rpartition(":")
        return host.strip("[]"), int(port)

    @property
    def master(self) -> int:
        """The process id of the master."""
        return self.process.pid

    @property
    def generations(self) -> list[int]:
        """Those of all generations that live, the oldest first."""
        return [pid for pid in children(self.master) if not _forks_generations(pid)]

    @property
    def workers(self) -> list[int]:
        """Those of the workers of the generation that serves, if it has more than one: its forker's children."""
        return [worker for forker in children(self.pid) for worker in children(forker)]

    @property
    def pid(self) -> int:
        """That of the generation that serves."""
        return self.generations[-1]

    async def connect(self, **options: Any) -> Client:
        """A client connection to the listener (see `Client.connect`), TLS if the listener has it."""
        return await Client.connect(self.address, **{"tls": self.tls, **options})

    async def ask(self, target: str = "/", method: str = "GET", *lines: str, body: bytes | None = None) -> Response:
        """One request over a client connection of its own."""
        async with await self.connect() as client:
            return await client.ask(target, method, *lines, body=body)

    async def logged(self, *words: str, count: int = 1) -> str:
        """Wait for `count` log lines that have all of `words`, and return the last of them."""

        def find() -> list[str]:
            return [line for line in self.log if all(word in line for word in words)]

        await self._progress.until(lambda: len(find()) >= count)
        return find()[count - 1]

    async def accessed(self, count: int = 1, **wanted: Any) -> list[dict[str, Any]]:
        """Wait for `count` access-log records whose keys have the values `wanted`, and return all of them."""

        def find() -> list[dict[str, Any]]:
            return [record for record in self.access if all(record[key] == value for key, value in wanted.items())]

        await self._progress.until(lambda: len(find()) >= count)
        return find()

    async def admin(self, target: str, method: str = "GET") -> Response:
        """What the admin socket answers to `method` `target`."""
        path = self.config["admin"]["bind"].removeprefix("unix:")
        async with Client(*await asyncio.open_unix_connection(path)) as client:
            await client.send(f"{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            return await client.response()

    async def status(self) -> dict[str, Any]:
        """The snapshot that /status of the admin socket gives."""
        response = await self.admin("/status")
        assert response.status == 200, response
        snapshot: dict[str, Any] = json.loads(response.body)
        return snapshot

    async def until(self, condition: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Look at /status until `condition` holds of the snapshot, and return that; TimeoutError after DEADLINE.

        Between two looks others may work: one that looks all the time takes a CPU from what it waits for.
        """
        pause = 0.001
        async with asyncio.timeout(DEADLINE):
            while not condition(snapshot := await self.status()):
                await asyncio.sleep(pause)
                pause = min(2 * pause, 0.02)
        return snapshot

    async def backends(self) -> dict[str, dict[str, Any]]:
        """The backends of the snapshot by name."""
        return {item["name"]: item for pool in (await self.status())["pools"] for item in pool["backends"]}

    def memory(self, key: str = "VmRSS") -> int:
        """Bytes of `key` in /proc/PID/status (VmRSS now, VmHWM at its highest; see proc(5))."""
        text = Path(f"/proc/{self.pid}/status").read_text()
        match = re.search(rf"^{key}:\s+(\d+) kB", text, re.MULTILINE)
        assert match, text
        return int(match[1]) * 1024

    def forget_peak(self) -> None:
        """Set VmHWM to the resident size of now (proc(5), clear_refs)."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def descriptors(self) -> int:
        """How many file descriptors it has open."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def exited(self, deadline: float = DEADLINE) -> int:
        """Wait for its end and return its exit status, everything that it logged having been read."""
        async with asyncio.timeout(deadline):
            await asyncio.gather(*self._readers)
            return await self.process.wait()

    async def stop(self) -> None:
        """TERM it, unless it has ended, and assert a clean end and a clean log."""
        if self.process.returncode is None:
            self.signal(signal.SIGTERM)
        code = await self.exited()
        assert code == 0, f"exit status {code}"
        self.check()

    def check(self) -> None:
        """Assert that nothing went wrong inside it."""
        assert not [line for line in self.log if _BAD_SIGNS.search(line)]
        assert not [record for record in self.access if record["reason"] == "internal"]

    def forget(self) -> None:
        """Drop what was logged so far."""
        for lines in (self.log, self.access, self.access_lines):
            lines.clear()

    async def kill(self) -> None:
        """Make sure that it is gone."""
        if self.process.returncode is None:
            others = descendants(self.master)
            self.process.kill()  # first, since it would start others
            for pid in others:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)
        await self.process.wait()

    async def _read_log(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.log.append(line.decode().rstrip("\n"))
            self._progress.happened()
        self._progress.happened()

    async def _read_access(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.access_lines.append(line)
            self.access.append(json.loads(line))
            self._progress.happened()


def children(pid: int) -> list[int]:
    """The process ids of its children, the oldest first (proc(5)); none if it has ended."""
    with suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def opened(pid: int) -> list[str]:
    """What each of its descriptors is of (proc(5)), but for one that it closes at this moment."""
    found = []
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            found.append(str(descriptor.readlink()))
    return found


def _forks_generations(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().rstrip() == FORKS_GENERATIONS
    return False


def descendants(pid: int) -> list[int]:
    """Those of its children, and of theirs."""
    return [one for child in children(pid) for one in (child, *descendants(child))]


async def command(*arguments: str, around: Surroundings = PLAIN) -> tuple[int, str, str]:
    """Run a command of lbproxy to its end: exit status, standard output, standard error."""
    process = await lbproxy(*arguments, around=around)
    async with asyncio.timeout(DEADLINE):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


@asynccontextmanager
async def running(
    config: Mapping[str, Any],
    directory: Path,
    tls: ssl.SSLContext | None = None,
    around: Surroundings = PLAIN,
) -> AsyncIterator[Balancer]:
    """A balancer for the length of a block; `stop` is asserted at its end."""
    balancer = await Balancer.start(config, directory, around)
    balancer.tls = tls
    try:
        yield balancer
        await balancer.stop()
    finally:
        await balancer.kill()
        print(*balancer.log, *balancer.access, sep="\n")  # pytest shows it beside a failure only
