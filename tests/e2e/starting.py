"""How the processes of lbproxy are started, by a command line or by the fork server."""

from __future__ import annotations

import asyncio
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import IO, Protocol, Self

from tests.namespaces import OWN_NETWORK

from .surroundings import PLAIN, READ_AT_EACH_USE, ROOT, Surroundings

_LINE_LIMIT = 1 << 20
"""Bytes of the longest line that may be read from one of its outputs."""

SAMPLE = (sys.executable, "-m", "lbproxy.demo.connector")
"""How the command of a sample connector begins."""

_CHANGES = {"PYTEST_CURRENT_TEST"}
"""Variables that mean nothing to lbproxy."""


class Process(Protocol):
    """What asyncio.subprocess.Process has, of which the tests use this."""

    @property
    def pid(self) -> int: ...
    @property
    def returncode(self) -> int | None: ...
    @property
    def stdout(self) -> asyncio.StreamReader | None: ...
    @property
    def stderr(self) -> asyncio.StreamReader | None: ...
    def send_signal(self, signal: int) -> None: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...
    async def wait(self) -> int: ...
    async def communicate(self) -> tuple[bytes, bytes]: ...


async def spawn(*arguments: str, module: str = "lbproxy", around: Surroundings = PLAIN) -> asyncio.subprocess.Process:
    """`python -m lbproxy`, or another module, with `arguments`, its two outputs piped."""
    return await asyncio.create_subprocess_exec(
        *around.command,
        sys.executable,
        "-m",
        module,
        *arguments,
        cwd=ROOT,
        env={**os.environ, **around.environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=_LINE_LIMIT,
    )


def _constant(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that a process may read once, at its start."""
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith(READ_AT_EACH_USE) and name not in _CHANGES
    }


class ForkServer:
    """Starts processes of one of the kinds of `forkserver`, each a tenth of the work of a start by the command line."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._process: subprocess.Popen[bytes] | None = None
        self._orders: socket.socket | None = None
        self._environment = _constant(os.environ)

    def can(self, environment: Mapping[str, str]) -> bool:
        """Whether it can start one with these variables: others than its own only where they are read at each use.

        With LBPROXY_FULL=1 it starts none.
        """
        return _constant(environment) == self._environment and not os.environ.get("LBPROXY_FULL")

    async def start(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        *,
        network: Path = OWN_NETWORK,
        errors: bool = True,
        leads: bool = False,
    ) -> Forked:
        """One with `arguments`. `errors`: its standard error is a pipe of its own. `leads`: a process group."""
        pipes = self._order(arguments, environment, network, errors, leads)
        out, *between, report = [await _reader(one) for one in pipes]
        return Forked(int(await report.readline()), out, between[0] if errors else None, report)

    def start_at_once(self, arguments: Sequence[str], environment: Mapping[str, str]) -> ForkedAtOnce:
        """The same, for those who have no event loop; its errors go where its output goes."""
        out, report = self._order(arguments, environment, OWN_NETWORK, errors=False, leads=False)
        return ForkedAtOnce(os.fdopen(out), os.fdopen(report, "rb", buffering=0))

    def _order(
        self, arguments: Sequence[str], environment: Mapping[str, str], network: Path, errors: bool, leads: bool
    ) -> tuple[int, ...]:
        """Its pipes: its output, its errors if they have one of their own, and the server's report."""
        variables = {name: value for name, value in environment.items() if name.startswith(READ_AT_EACH_USE)}
        order = json.dumps([list(arguments), variables, leads]).encode()
        readings, theirs = zip(*(os.pipe() for _ in range(3 if errors else 2)), strict=True)
        theirs = (*theirs, os.open(network, os.O_RDONLY))
        try:
            socket.send_fds(self._orders or self._start(), [order], [theirs[0], *theirs[-3:]])
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        return readings

    def _start(self) -> socket.socket:
        orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.e2e.forkserver", self._kind, str(theirs.fileno())],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        self._orders = orders
        return orders

    def close(self) -> None:
        """End it, if it was started. None that it has started may run any more."""
        if self._process is not None and self._orders is not None:
            self._orders.close()
            assert self._process.wait() == 0
            self._process = self._orders = None


BALANCERS = ForkServer("balancer")
BALANCERS_WITH_CLIENTS = ForkServer("balancer_with_clients")
CONNECTORS = ForkServer("connector")
COMMANDS = ForkServer("command")
FORK_SERVERS = (BALANCERS, BALANCERS_WITH_CLIENTS, CONNECTORS, COMMANDS)

_NEED_CLIENTS = re.compile(r'^kind = "(http|kerberos)"|^\[(fleet|.*\.(discover|consistency))\]', re.MULTILINE)
"""What a configuration has whose balancer asks over HTTP."""


async def master(path: Path, around: Surroundings = PLAIN) -> Process:
    """The master for the configuration at `path`: what `lbproxy run` becomes.

    A balancer that is under another command, or has other variables than this process, is started by its command line.
    """
    environment = {**os.environ, **around.environment}
    server = BALANCERS_WITH_CLIENTS if _NEED_CLIENTS.search(path.read_text()) else BALANCERS
    if around.under or not server.can(environment):
        return await spawn("master", str(path), module="lbproxy.process", around=around)
    return await server.start([str(path)], environment, network=around.network)


async def lbproxy(*arguments: str, around: Surroundings = PLAIN) -> Process:
    """`lbproxy` with `arguments`. `run` becomes another program, so it is started by its command line."""
    environment = {**os.environ, **around.environment}
    if arguments[0] == "run" or around.under or not COMMANDS.can(environment):
        return await spawn(*arguments, around=around)
    return await COMMANDS.start(arguments, environment, network=around.network)


async def connector(arguments: Sequence[str], environment: Mapping[str, str]) -> Process:
    """A sample connector with its options; it leads a process group, and its errors go where its output goes."""
    if CONNECTORS.can(environment):
        return await CONNECTORS.start(arguments, environment, errors=False, leads=True)
    return await asyncio.create_subprocess_exec(
        *SAMPLE,
        *arguments,
        cwd=ROOT,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        limit=_LINE_LIMIT,
        process_group=0,
    )


def connector_at_once(arguments: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[str] | ForkedAtOnce:
    """A sample connector with its options, for those who have no event loop; its output is read as text."""
    if CONNECTORS.can(environment):
        return CONNECTORS.start_at_once(arguments, environment)
    return subprocess.Popen([*SAMPLE, *arguments], stdout=subprocess.PIPE, text=True, env=environment)


class Forked:
    """What a fork server has started, as asyncio.subprocess.Process is one."""

    def __init__(
        self, pid: int, out: asyncio.StreamReader, errors: asyncio.StreamReader | None, report: asyncio.StreamReader
    ) -> None:
        self.pid = pid
        self.stdout = out
        self.stderr = errors
        self.returncode: int | None = None
        self._end = asyncio.ensure_future(self._watch(report))

    async def _watch(self, report: asyncio.StreamReader) -> int:
        self.returncode = int(await report.readline())
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Raises ProcessLookupError if it is known to have ended."""
        if self.returncode is not None:
            raise ProcessLookupError
        with suppress(ProcessLookupError):  # its end is on its way here
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Raises ProcessLookupError if it is known to have ended."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Raises ProcessLookupError if it is known to have ended."""
        self.send_signal(signal.SIGKILL)

    async def wait(self) -> int:
        return await asyncio.shield(self._end)

    async def communicate(self) -> tuple[bytes, bytes]:
        """What is left of its output and of its errors, once it has ended."""
        assert self.stderr is not None
        out, err = await asyncio.gather(self.stdout.read(), self.stderr.read())
        await self.wait()
        return out, err


class ForkedAtOnce:
    """What a fork server has started, as subprocess.Popen is one."""

    def __init__(self, out: IO[str], report: FileIO) -> None:
        self.pid = int(report.readline())
        self.stdout = out
        self.returncode: int | None = None
        self._report = report

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Returns once it has ended."""
        with self.stdout, self._report:
            self.wait()

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            with suppress(ProcessLookupError):  # its end is on its way here
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status; TimeoutError when it has not ended in so many seconds."""
        if self.returncode is None:
            if not select.select([self._report], [], [], timeout)[0]:
                raise TimeoutError(f"process {self.pid} has not ended")
            self.returncode = int(self._report.readline())
        return self.returncode


async def _reader(descriptor: int) -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit=_LINE_LIMIT)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb", buffering=0))
    return reader
