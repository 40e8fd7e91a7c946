"""How the processes of lbproxy are started, by a command line or by the fork server."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from .surroundings import PLAIN, ROOT, Surroundings

_LINE_LIMIT = 1 << 20
"""Bytes of the longest line that may be read from one of its outputs."""

_KERBEROS = "KRB5"  # as in `forkserver`, which imports too much for this process

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
    def kill(self) -> None: ...
    async def wait(self) -> int: ...


async def spawn(*arguments: str, module: str = "lbproxy", around: Surroundings = PLAIN) -> asyncio.subprocess.Process:
    """`python -m lbproxy`, or another module, with `arguments`, its two outputs piped."""
    return await asyncio.create_subprocess_exec(
        *around.under,
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


class ForkServer:
    """Starts masters, each a tenth of the work that a start by the command line is; see `forkserver`.

    A balancer that is under another command, or has other variables than this process, is started by its command line.
    So are all with LBPROXY_FULL=1.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._orders: socket.socket | None = None
        self._environment = _constant(os.environ)

    async def master(self, path: Path, around: Surroundings = PLAIN) -> Process:
        """The master for the configuration at `path`: what `lbproxy run` becomes."""
        environment = {**os.environ, **around.environment}
        if around.under or _constant(environment) != self._environment or os.environ.get("LBPROXY_FULL"):
            return await spawn("master", str(path), module="lbproxy.process", around=around)
        orders = self._orders or self._start()
        kerberos = {name: value for name, value in environment.items() if name.startswith(_KERBEROS)}
        return await Forked.start(orders, path, kerberos)

    def _start(self) -> socket.socket:
        orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.e2e.forkserver", str(theirs.fileno())],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        self._orders = orders
        return orders

    def close(self) -> None:
        """End it, if it was started. No balancer may run any more."""
        if self._process is not None and self._orders is not None:
            self._orders.close()
            assert self._process.wait() == 0
            self._process = self._orders = None


class Forked:
    """A master that the fork server has started, as asyncio.subprocess.Process is one."""

    def __init__(
        self, pid: int, out: asyncio.StreamReader, errors: asyncio.StreamReader, report: asyncio.StreamReader
    ) -> None:
        self.pid = pid
        self.stdout = out
        self.stderr = errors
        self.returncode: int | None = None
        self._end = asyncio.ensure_future(self._watch(report))

    @classmethod
    async def start(cls, orders: socket.socket, path: Path, variables: Mapping[str, str]) -> Forked:
        """Give the order and wait until it is there."""
        pipes = [os.pipe() for _ in range(3)]
        theirs = [writing for _, writing in pipes]
        try:
            socket.send_fds(orders, [json.dumps([str(path), dict(variables)]).encode()], theirs)
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        out, errors, report = [await _reader(reading) for reading, _ in pipes]
        return cls(int(await report.readline()), out, errors, report)

    async def _watch(self, report: asyncio.StreamReader) -> int:
        self.returncode = int(await report.readline())
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Raises ProcessLookupError if it is known to have ended."""
        if self.returncode is not None:
            raise ProcessLookupError
        with suppress(ProcessLookupError):  # its end is on its way here
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Raises ProcessLookupError if it is known to have ended."""
        self.send_signal(signal.SIGKILL)

    async def wait(self) -> int:
        return await asyncio.shield(self._end)


async def _reader(descriptor: int) -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit=_LINE_LIMIT)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb", buffering=0))
    return reader


def _constant(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that a process has from its start on."""
    return {
        name: value for name, value in environment.items() if not name.startswith(_KERBEROS) and name not in _CHANGES
    }
