"""Firefox without a display, which shows one page; it is told what to do by its own protocol, Marionette."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from ..balancer import Balancer
from ..chromium import PATIENCE
from ..client import HOST

_PREFERENCES = {
    "marionette.port": 0,  # a free one, which it writes into its profile
    "network.dns.localDomains": HOST,  # it is at 127.0.0.1
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "app.normandy.enabled": False,
    "browser.safebrowsing.downloads.remote.enabled": False,
    "services.settings.server": "data:,",
}
"""Nothing but the page: no request to anybody else."""


class _Marionette:
    """A connection to a browser: `LENGTH:JSON` in both directions, where a command is [0, number, name, parameters]."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._number = 0

    async def greeted(self) -> None:
        await self._message()

    async def ask(self, command: str, **parameters: Any) -> Any:
        """Its result; AssertionError with the browser's words when it has none."""
        self._number += 1
        data = json.dumps([0, self._number, command, parameters]).encode()
        self._writer.write(b"%d:%s" % (len(data), data))
        _, number, error, result = await self._message()
        assert number == self._number
        assert error is None, error
        return result

    async def _message(self) -> Any:
        size = await self._reader.readuntil(b":")
        return json.loads(await self._reader.readexactly(int(size[:-1])))


async def browse(
    balancer: Balancer,
    profile: Path,
    environment: dict[str, str],
    preferences: dict[str, Any],
    under: Sequence[str] = (),
) -> str:
    """The document that a new browser shows for SERVER_URL, as HTML. under: the command that runs it, if one does."""
    lines = [
        f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in (_PREFERENCES | preferences).items()
    ]
    (profile / "user.js").write_text("\n".join(lines))
    async with asyncio.timeout(PATIENCE), _running(profile, environment, under) as marionette:
        await marionette.ask("WebDriver:NewSession", acceptInsecureCerts=True, unhandledPromptBehavior="dismiss")
        await marionette.ask("WebDriver:Navigate", url=f"{balancer.config['server_url']}/")
        # A prompt that was dismissed ends the loading before the page of its 401 is there.
        await marionette.ask("WebDriver:SetTimeouts", implicit=int(PATIENCE * 1000))
        await marionette.ask("WebDriver:FindElement", using="css selector", value="body")
        return str((await marionette.ask("WebDriver:GetPageSource"))["value"])


@asynccontextmanager
async def _running(profile: Path, environment: dict[str, str], under: Sequence[str]) -> AsyncIterator[_Marionette]:
    program = shutil.which("firefox-esr")
    assert program, "apt-get install firefox-esr"
    process = await asyncio.create_subprocess_exec(
        *(*under, program, "--headless", "--no-remote", "--marionette", "--profile", str(profile)),
        env=os.environ | environment | {"HOME": str(profile)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        process_group=0,
    )
    assert process.stdout is not None
    try:
        # "1234567890\tMarionette\tINFO\tListening on port 41234"
        while b"Listening on port" not in (line := await process.stdout.readline()):
            assert line, "it ended"
        rest = asyncio.ensure_future(process.stdout.read())  # or a full pipe would hold it up
        reader, writer = await asyncio.open_connection("127.0.0.1", int(line.rsplit(maxsplit=1)[1]))
        with contextlib.closing(writer):
            marionette = _Marionette(reader, writer)
            await marionette.greeted()
            yield marionette
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # a browser is many processes
        await process.wait()
        print((await rest).decode())  # pytest shows it beside a failure only
