"""A balancer and its one backend that serve many tests: a case of a table does not start a process of its own."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .backend import Script, ScriptedBackend, serve
from .balancer import Balancer, running
from .configuration import configuration
from .tls import Authority

QUICK_RETURN = {"check": {"kind": "none", "interval": "50ms", "rise": 1}}
"""A pool's check that brings an ejected backend back at once, for the next test."""


@dataclass(frozen=True)
class Peers:
    balancer: Balancer
    backend: ScriptedBackend

    def play(self, script: Script) -> None:
        """Begin a test: the backend follows `script` on new lanes, and all records are empty."""
        self.backend.script = script
        self.backend.forget()
        self.balancer.forget()

    async def settle(self) -> None:
        """End a test: wait until nothing of it is left (a client, lane, ejection or line of a log), find faults."""
        self.backend.reset_lanes()
        await self._until_idle()
        async with await self.balancer.connect() as client:
            assert (await client.ask("/test-iis")).status == 404
            await self.balancer.accessed(client=client.name)  # the log has an order: earlier lines have come too
        await self._until_idle()
        self.backend.check()
        self.balancer.check()

    async def _until_idle(self) -> None:
        await self.balancer.until(self._is_idle)

    def _is_idle(self, status: dict[str, Any]) -> bool:
        [member] = status["pools"][0]["backends"]
        lanes = member["idle_lanes"] + member["private_lanes"] + len(self.backend.open_lanes)
        return member["state"] == "up" and not lanes and not status["listeners"][0]["connections"]


@asynccontextmanager
async def one_backend(script: Script = serve, tls: bool = False, **changes: Any) -> AsyncIterator[Peers]:
    """Start both; `changes` are those of `configuration`. The end of the block asserts a clean end of both."""
    authority = Authority() if tls else None
    backend = ScriptedBackend("c1", script)
    await backend.start()
    try:
        with tempfile.TemporaryDirectory(prefix="lbp-") as name:
            directory = Path(name)
            certificate = authority.write(directory, "login.test") if authority else None
            changes.setdefault("pool", QUICK_RETURN)
            config = configuration(directory, [(backend.name, backend.url)], certificate=certificate, **changes)
            context = authority.client_context() if authority else None
            async with running(config, directory, context) as balancer:
                yield Peers(balancer, backend)
    finally:
        await backend.stop()
    backend.check()
