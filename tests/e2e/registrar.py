"""`lbproxy register` beside a backend."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from .backend import ScriptedBackend
from .progress import DEADLINE, Progress
from .starting import Process, lbproxy
from .surroundings import PLAIN, Surroundings


class Registrar:
    """Its process; `log` has its lines."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.log: list[str] = []
        self._progress = Progress()
        self._reader = asyncio.ensure_future(self._read())

    @classmethod
    async def start(
        cls, fleet: Path, backend: ScriptedBackend, *options: str, around: Surroundings = PLAIN
    ) -> Registrar:
        """fleet: a file with [fleet]."""
        named = ["--pool", "connectors", "--name", backend.name, "--url", backend.url]
        one = cls(await lbproxy("register", "-c", str(fleet), *named, *options, around=around))
        await one.logged("connector_registered")
        return one

    async def logged(self, *words: str) -> str:
        """Wait for a line that has all of `words`."""

        def find() -> list[str]:
            return [line for line in self.log if all(word in line for word in words)]

        await self._progress.until(lambda: find() or self._reader.done())
        assert find(), "\n".join([f"it ended without {words}:", *self.log])
        return find()[0]

    @property
    def running(self) -> bool:
        return self.process.returncode is None

    def terminate(self) -> None:
        """TERM."""
        self.process.send_signal(signal.SIGTERM)

    async def exited(self) -> int:
        """Wait for its end; its exit status."""
        async with asyncio.timeout(DEADLINE):
            await self._reader
            return await self.process.wait()

    async def kill(self) -> None:
        """As when its host dies."""
        if self.running:
            self.process.kill()
        await self.exited()

    async def _read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.log.append(line.decode().rstrip("\n"))
            self._progress.happened()
        self._progress.happened()


@asynccontextmanager
async def registered(
    fleet: Path, *backends: ScriptedBackend, options: tuple[str, ...] = ()
) -> AsyncIterator[list[Registrar]]:
    """Each of `backends` with a registration of its own."""
    made = await asyncio.gather(*(Registrar.start(fleet, one, *options) for one in backends))
    try:
        yield made
    finally:
        await asyncio.gather(*(one.kill() for one in made))
