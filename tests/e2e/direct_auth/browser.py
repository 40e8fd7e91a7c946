"""Chromium, which shows one page."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence
from pathlib import Path

from .. import chromium
from ..balancer import Balancer
from ..client import HOST

ALLOWED = chromium.tickets_for(HOST)


async def browse(
    balancer: Balancer,
    profile: Path,
    environment: dict[str, str],
    options: Sequence[str] = (ALLOWED,),
    under: Sequence[str] = (),
) -> str:
    """The document that a new browser shows for SERVER_URL, as HTML. under: the command that runs it, if one does."""
    process = await asyncio.create_subprocess_exec(
        *under,
        chromium.program(),
        "--headless",
        *chromium.options(HOST, balancer.path.with_name("chain.pem"), profile),
        *options,
        f"--user-data-dir={profile}",
        "--dump-dom",
        f"{balancer.config['server_url']}/",
        env=os.environ | environment | {"HOME": str(profile)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        process_group=0,
    )
    try:
        async with asyncio.timeout(chromium.PATIENCE):
            out, err = await process.communicate()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # a browser is many processes
        await process.wait()
    print(err.decode())  # pytest shows it beside a failure only
    return out.decode()
