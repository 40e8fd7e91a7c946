"""A balancer and its one backend for a whole module of tests: a table of cases does not start a process for each."""

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


@dataclass(frozen=True)
class Peers:
    balancer: Balancer
    backend: ScriptedBackend


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
            config = configuration(directory, [(backend.name, backend.url)], certificate=certificate, **changes)
            context = authority.client_context() if authority else None
            async with running(config, directory, context) as balancer:
                yield Peers(balancer, backend)
    finally:
        await backend.stop()
    assert not backend.failures
