"""The process of [admin.web]: started, listened to, started again when it ends, and ended."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import socket
import time
from asyncio.subprocess import PIPE
from contextlib import suppress
from typing import Any

from lbproxy import program
from lbproxy.config import AdminWeb, Config
from lbproxy.control import tasks
from lbproxy.control.log import event
from lbproxy.dashboard.sessions import SessionView, as_views
from lbproxy.dashboard.settings import WebSettings
from lbproxy.process.ipc.restart_backoff import RestartBackoff
from lbproxy.status.certificate_expiry import Ending
from lbproxy.status.tls_report import NOTHING, TlsReport

log = logging.getLogger(__name__)

_WHERE = "admin.web"

_STOP_WITHIN = 5.0
"""Seconds for it to end; then it is killed."""

_LONGEST_LINE = 1 << 22
"""Bytes of a message: 500 sessions."""

_EVENT = re.compile(r"[a-z][a-z_]*")


class WebProcess:
    """On `sock`, which the master holds. `sessions` are those that there are, or were when it ended; `tls` too."""

    def __init__(self, config: Config, web: AdminWeb, sock: socket.socket, sessions: object) -> None:
        """sessions: those of the generation before this one."""
        self.sessions: list[SessionView] = as_views(sessions)
        self.tls: TlsReport = NOTHING
        self._config = config
        self._web = web
        self._sock = sock
        self._backoff = RestartBackoff()
        self._task: asyncio.Task[None] | None = None
        self._process: asyncio.subprocess.Process | None = None

    def __repr__(self) -> str:
        return f"<process of admin.web at {self._web.bind}>"

    def start(self) -> None:
        """Keep it running from now on."""
        self._task = tasks.start(self._keep(), name="admin.web")

    async def stop(self) -> None:
        """End it: the sockets of its browsers close."""
        if self._task is None:
            return
        await tasks.stop(self._task)
        if self._process is not None:
            await self._end(self._process)
        self._sock.close()

    async def _keep(self) -> None:
        while True:
            process = self._process = await self._spawn()
            await self._listen(process)
            status = await process.wait()
            pause = 0.0
            if status:
                count, pause = self._backoff.happened(time.monotonic())
                event(log, logging.ERROR, "dashboard_died", status=status, deaths=count, again_in=pause)
            await asyncio.sleep(pause)

    async def _spawn(self) -> asyncio.subprocess.Process:
        descriptor = self._sock.fileno()
        process = await asyncio.create_subprocess_exec(
            *program.command("lbproxy.dashboard", str(descriptor)),
            stdin=PIPE, stdout=PIPE, pass_fds=[descriptor], limit=_LONGEST_LINE, env=dict(os.environ),
        )  # fmt: skip
        assert process.stdin is not None
        process.stdin.write(self._settings().encode())
        return process

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        """Until it ends."""
        assert process.stdout is not None
        with suppress(ValueError):  # a line that is too long: what follows is of no use either
            async for line in process.stdout:
                with suppress(ValueError):
                    self._heard(json.loads(line))

    def _heard(self, message: dict[str, Any]) -> None:
        match message:
            case {"sessions": sessions}:
                self.sessions = as_views(sessions)
            case {"tls": {"expiries": list(expiries), "refused": refused}}:
                ends = [Ending(_WHERE, *one) for one in expiries]
                self.tls = {"endings": ends, "files": [{"where": _WHERE, "refused": refused}], "shut_out": {}}
            case {"event": str(name), "warning": bool(warning), "fields": dict(fields)} if _EVENT.fullmatch(name):
                event(log, logging.WARNING if warning else logging.INFO, name, **{str(k): v for k, v in fields.items()})

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(_STOP_WITHIN):
                await self._listen(process)
                await process.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def _settings(self) -> WebSettings:
        web, admin = self._web, self._config.admin.bind
        return WebSettings(
            admin=[str(admin.path)] if admin.path is not None else [admin.host, admin.port],
            certificate=str(web.certificate),
            key=str(web.key),
            sign_in=[*web.sign_in],
            keytab=None if web.keytab is None else str(web.keytab),
            client_ca=None if web.client_ca is None else str(web.client_ca),
            passwords=None if web.passwords is None else str(web.passwords),
            viewers=[*web.viewers],
            operators=[*web.operators],
            idle_timeout=web.idle_timeout,
            session_timeout=web.session_timeout,
            sessions=self.sessions,
        )
