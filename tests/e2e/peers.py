"""A balancer and its backends that serve many tests: a case of a table does not start a process of its own."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .backend import Script, ScriptedBackend, serve
from .balancer import Balancer, running
from .configuration import configuration
from .passing import passing
from .surroundings import BY_COMMAND_LINE, PLAIN
from .tls import Authority

QUICK_RETURN = {"check": {"kind": "none", "interval": "50ms", "rise": 1}}
"""A pool's check that brings an ejected backend back at once, for the next test."""


ANOTHER = "127.0.0.2"
"""An address that no listener here expects a PROXY header from."""


@dataclass(frozen=True)
class Peers:
    balancer: Balancer
    backends: tuple[ScriptedBackend, ...]

    @property
    def backend(self) -> ScriptedBackend:
        """The first one, which most have alone."""
        return self.backends[0]

    @property
    def _is_http(self) -> bool:
        return bool(self.balancer.config["listener"]["login"]["mode"] == "http")

    def play(self, *scripts: Script) -> None:
        """Begin a test: each backend follows its script on new lanes, and all records are empty."""
        for backend, script in zip(self.backends, scripts, strict=True):
            backend.script = script
            backend.forget()
        self.balancer.forget()

    async def settle(self) -> None:
        """End a test: wait until nothing of it is left (a client, lane, ejection or line of a log), find faults."""
        for backend in self.backends:
            backend.reset_lanes(probes=not self._is_http)  # a probe that is broken would eject the backend
        await self._until_idle()
        for backend in self.backends:
            backend.script = serve
        async with await self.balancer.connect(source=ANOTHER) as client:
            if self._is_http:
                assert (await client.ask("/test-iis")).status == 404
            else:
                client.half_close()
                await client.closed()
            await self.balancer.accessed(client=client.name)  # the log has an order: earlier lines have come too
        await self._until_idle()
        for backend in self.backends:
            backend.check()
        self.balancer.check()

    async def _until_idle(self) -> None:
        await self.balancer.until(self._is_idle)

    def _is_idle(self, status: dict[str, Any]) -> bool:
        members = status["pools"][0]["backends"]
        lanes = sum(member["idle_lanes"] + member["private_lanes"] for member in members)
        lanes += sum(len(backend.open_lanes) for backend in self.backends)
        up = all(member["state"] == "up" for member in members)
        return up and not lanes and not status["listeners"][0]["connections"]


@asynccontextmanager
async def one_backend(script: Script = serve, tls: bool = False, **changes: Any) -> AsyncIterator[Peers]:
    """Start both; `changes` are those of `configuration`. The end of the block asserts a clean end of both."""
    async with several_backends(script, tls=tls, **changes) as peers:
        yield peers


@asynccontextmanager
async def several_backends(
    *scripts: Script, tls: bool | Authority = False, mode: str = "http", **changes: Any
) -> AsyncIterator[Peers]:
    """The same with a backend for each script, and perhaps a certificate of that authority.

    With the default options the balancer is started by its command line: tests measure the memory of these.
    mode: in others than http, `changes` are those of `passing`.
    """
    authority = tls if isinstance(tls, Authority) else Authority() if tls else None
    backends = tuple(ScriptedBackend(f"c{number}", script) for number, script in enumerate(scripts, 1))
    for backend in backends:
        await backend.start()
    around = PLAIN if changes else BY_COMMAND_LINE
    try:
        with tempfile.TemporaryDirectory(prefix="lbp-") as name:
            directory = Path(name)
            certificate = authority.write(directory, "login.test", "127.0.0.1") if authority else None
            changes["pool"] = QUICK_RETURN | changes.get("pool", {})
            if mode == "http":
                urls = [(backend.name, backend.url) for backend in backends]
                config = configuration(directory, urls, certificate=certificate, **changes)
            else:
                config = passing(directory, backends, mode, **changes)
            context = authority.client_context() if authority else None
            async with running(config, directory, context, around) as balancer:
                yield Peers(balancer, backends)
    finally:
        for backend in backends:
            await backend.stop()
    for backend in backends:
        backend.check()


class Stages:
    """Peers that tests have in common, by how they are configured. Those that were not used for longest end first."""

    MOST = 4
    """So many run at once; the tests of a file mostly want the same ones."""

    def __init__(self, authority: Authority) -> None:
        """authority: of the certificates of those that have one."""
        self._authority = authority
        self._running: dict[str, tuple[Peers, AsyncExitStack]] = {}

    async def get(self, count: int, tls: bool, changes: dict[str, Any]) -> Peers:
        """Those with so many backends, started if there are none."""
        key = repr((count, tls, changes))
        found = self._running.pop(key, None)
        if found is None:
            while len(self._running) >= self.MOST:
                await self.end(next(iter(self._running.values()))[0])
            stack = AsyncExitStack()
            found = (
                await stack.enter_async_context(
                    several_backends(*[serve] * count, tls=tls and self._authority, **changes)
                ),
                stack,
            )
        self._running[key] = found
        return found[0]

    async def end(self, peers: Peers) -> None:
        """End these, so that nobody gets them again."""
        [key] = [key for key, (one, _) in self._running.items() if one is peers]
        _, stack = self._running.pop(key)
        await stack.aclose()

    async def close(self) -> None:
        """End all of them."""
        for peers, _ in list(self._running.values()):
            await self.end(peers)
