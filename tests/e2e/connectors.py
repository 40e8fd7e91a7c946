"""Sample connectors as processes that end TLS themselves, and know their users by client certificates."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.pki import Files
from tests.ports import free_port

from .instance import Instance
from .starting import SAMPLE


@asynccontextmanager
async def connectors(
    directory: Path, server: Files, client_ca: Path, *options: str, names: tuple[str, ...] = ("c1", "c2", "c3")
) -> AsyncIterator[list[Instance]]:
    """Run one for each name; all show the certificate `server` and believe users of `client_ca`."""
    fleet = [_connector(name, directory, server, client_ca, *options) for name in names]
    try:
        async with asyncio.TaskGroup() as group:
            for instance in fleet:
                group.create_task(instance.start())
        yield fleet
    finally:
        for instance in fleet:
            await instance.kill()
            print(instance, instance.last_words)  # pytest shows it beside a failure only


def _connector(name: str, directory: Path, server: Files, client_ca: Path, *options: str) -> Instance:
    port = free_port()
    command = [*SAMPLE, "--name", name, "--port", str(port)]
    command += ["--tls-cert", str(server.chain), "--tls-key", str(server.key), "--client-ca", str(client_ca), *options]
    return Instance(name, port, command, directory / f"{name}.log", "listening: ", {}, scheme="https")
