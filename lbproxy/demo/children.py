"""Processes that the demo starts, watches and ends."""

from __future__ import annotations

import asyncio
import os
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lbproxy.errors import StartError

_LONGEST_LINE = 1 << 20  # bytes
_LAST_WORDS = 5  # lines that an error about the child quotes


class Child:
    """A process whose output goes to the file `log`, and which says `ready` and a value on a line when it serves.

    It may be started again after it has ended, with another `command` too. `environment` comes on top of ours.
    """

    WITHIN = 60.0
    """Seconds for a start."""

    def __init__(
        self, name: str, command: Sequence[str], log: Path, ready: str, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.command = command
        self._log = log
        self._ready = ready
        self._environment = os.environ | dict(environment or {})
        self._process: Process | None = None
        self._output: asyncio.Task[None] | None = None
        self._last_words: deque[str] = deque(maxlen=_LAST_WORDS)

    def __repr__(self) -> str:
        return f"<Child {self.name} pid {self.pid}>" if self._process else f"<Child {self.name} not started>"

    @property
    def pid(self) -> int:
        """The process id of the latest start."""
        assert self._process is not None
        return self._process.pid

    @property
    def last_words(self) -> str:
        """The latest lines of its output."""
        return "\n".join(self._last_words)

    async def start(self) -> str:
        """Starts it; returns what follows `ready` on its line. Raises StartError if it ends, or is silent for long."""
        self._process = await self.spawn(self._environment)
        said: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._output = asyncio.create_task(self._read(self._process, said))
        either: tuple[asyncio.Future[Any], ...] = (said, self._output)
        await asyncio.wait(either, timeout=self.WITHIN, return_when=asyncio.FIRST_COMPLETED)
        if not said.done():
            raise StartError(f"{self.name} did not start:\n{self.last_words}")
        return said.result()

    async def spawn(self, environment: Mapping[str, str]) -> Process:
        """The command as a process with that environment, whose one output can be read."""
        return await asyncio.create_subprocess_exec(
            *self.command,
            env=environment,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            limit=_LONGEST_LINE,
            process_group=0,  # the terminal's Ctrl-C is for the demo, which ends its children in order
        )

    async def ended(self) -> int:
        """Waits for the end, and for the last of its output; returns the exit status, negative for a signal."""
        assert self._process is not None
        assert self._output is not None
        await asyncio.shield(self._output)  # who waits may be cancelled; the output is read to its end
        return await self._process.wait()

    async def stop(self, grace: float = 10.0) -> None:
        """Ends it with SIGTERM, after `grace` seconds with SIGKILL; harmless when it has ended or never ran."""
        if self._process is None:
            return
        if self._process.returncode is None:
            self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), grace)
        except TimeoutError:
            self._process.kill()
        await self.ended()

    async def _read(self, process: Process, said: asyncio.Future[str]) -> None:
        assert process.stdout is not None
        with self._log.open("ab") as log:
            async for line in process.stdout:
                log.write(line)
                log.flush()
                text = line.decode(errors="replace").rstrip("\r\n")
                self._last_words.append(text)
                _, ready, value = text.partition(self._ready)
                if ready and not said.done():
                    said.set_result(value.strip())
