"""A real HAProxy, in front of lbproxy or behind it."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

needs_haproxy = pytest.mark.skipif(shutil.which("haproxy") is None, reason="haproxy is not installed")

_CONFIGURATION = """\
global
    maxconn 100
defaults
    timeout client 20s
    timeout server 20s
    timeout connect 20s
listen here
    bind fd@{listener} {bind}
{lines}
"""


@asynccontextmanager
async def haproxy(directory: Path, *lines: str, bind: str = "") -> AsyncIterator[tuple[str, int]]:
    """Run it with one `listen` section of these lines; the address that it serves. `bind`: options of that keyword."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:  # so it is there before haproxy is
        path = directory / f"haproxy-{listener.getsockname()[1]}.conf"
        body = "\n".join(f"    {line}" for line in lines)
        path.write_text(_CONFIGURATION.format(listener=listener.fileno(), bind=bind, lines=body))
        process = await asyncio.create_subprocess_exec("haproxy", "-db", "-f", path, pass_fds=[listener.fileno()])
        try:
            address: tuple[str, int] = listener.getsockname()
            yield address
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
