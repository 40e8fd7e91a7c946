"""One connector instance, whatever program it is."""

from __future__ import annotations

import contextlib
import os
import signal
from asyncio.subprocess import Process
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from lbproxy.demo.children import Child
from tests.pki import WITHOUT_AUTHORITIES

from .starting import SAMPLE, connector


class _Child(Child):
    """A sample connector may be the fork server's."""

    async def spawn(self, environment: Mapping[str, str]) -> Process:
        begin = len(SAMPLE)
        if tuple(self.command[:begin]) != SAMPLE:
            return await super().spawn(environment)
        return cast(Process, await connector(self.command[begin:], environment))


class Instance:
    """Processes that serve on a port which stays theirs over restarts; `ready` begins the line that says so."""

    def __init__(
        self,
        name: str,
        port: int,
        command: Sequence[str],
        log: Path,
        ready: str,
        environment: Mapping[str, str],
        scheme: str = "http",
    ) -> None:
        self.name = name
        self.port = port
        self.url = f"{scheme}://127.0.0.1:{port}"
        self._child = _Child(name, command, log, ready, WITHOUT_AUTHORITIES | dict(environment))
        self._runs = False

    def __repr__(self) -> str:
        return f"<{self.name} at {self.url}, {'runs' if self._runs else 'dead'}>"

    @property
    def pid(self) -> int:
        """The process id of its latest start, which is its process group's."""
        return self._child.pid

    @property
    def last_words(self) -> str:
        """The latest lines of its output."""
        return self._child.last_words

    async def start(self) -> None:
        """Return once it accepts; StartError with its last words when it ends instead."""
        self._runs = True  # from here on there may be processes to end, also if this is cancelled
        await self._child.start()

    def signal(self, number: signal.Signals) -> None:
        """Send it to all of its processes."""
        os.killpg(self.pid, number)

    async def kill(self) -> None:
        """SIGKILL all of its processes, as when the machine's power goes; returns once they are gone."""
        if self._runs:
            self._runs = False
            with contextlib.suppress(ProcessLookupError):  # it may have ended by itself
                os.killpg(self.pid, signal.SIGKILL)
            await self._child.ended()  # the end of its output: no process holds the pipe any more
