"""The real process of [admin.web], which asks a balancer that is not there."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest

from lbproxy.config import load
from lbproxy.process.generation.web_process import WebProcess
from lbproxy.status.tls_report import TlsReport
from tests.dashboard.site import PASSWORD, make_files

FILE = """
server_url = "http://login.test"
[listener.login]
bind = "127.0.0.1:0"
pool = "p"
[pool.p]
backends = [{ name = "c1", url = "http://127.0.0.1:9" }]
[admin]
bind = "unix:admin.sock"
[admin.web]
bind = "127.0.0.1:0"
certificate = "web.pem"
key = "web.key"
sign_in = ["password"]
passwords = "passwd"
viewers = ["*"]
"""

WITHIN = 30.0


class Served:
    def __init__(self, folder: Path) -> None:
        self.trust: ssl.SSLContext = make_files(folder)
        (folder / "lb.toml").write_text(FILE)
        self.config = load(folder / "lb.toml")
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.origin = f"https://127.0.0.1:{self.sock.getsockname()[1]}"
        assert self.config.admin.web is not None
        self.process = WebProcess(self.config, self.config.admin.web, self.sock, [])
        self.browser = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self.trust, force_close=True), cookie_jar=aiohttp.CookieJar(unsafe=True)
        )

    async def sign_in(self, name: str, password: str = PASSWORD) -> int:
        async with self.browser.post(
            f"{self.origin}/sign-in", data={"name": name, "password": password}, headers={"Origin": self.origin},
            allow_redirects=False,
        ) as answer:  # fmt: skip
            return answer.status

    async def show(self) -> int:
        async with self.browser.get(f"{self.origin}/", allow_redirects=False) as answer:
            return answer.status


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    one = Served(tmp_path)
    one.process.start()
    yield one
    await one.browser.close()
    await one.process.stop()


async def test_a_session_outlives_the_process_and_its_events_are_logged(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with asyncio.timeout(WITHIN):
        assert await served.sign_in("vera") == 303
        assert await served.sign_in("olga", "wrong") == 401
        assert await served.show() == 200
        while "sign_in_failed" not in caplog.messages:  # noqa: ASYNC110  (a log has no event)
            await asyncio.sleep(0.01)
        assert "signed_in" in caplog.messages
        [session] = served.process.sessions
        assert (session["user"], session["how"]) == ("vera", "password")
        first = served.process._process
        assert first is not None
        os.kill(first.pid, signal.SIGKILL)
        await first.wait()
        assert await served.show() == 200, "the socket waits for the next process"
    assert "dashboard_died" in caplog.messages


async def test_it_ends_with_its_generation(served: Served) -> None:
    async with asyncio.timeout(WITHIN):
        assert await served.show() == 303
        process = served.process._process
        assert process is not None
        await served.process.stop()
    assert process.returncode == 0
    assert served.sock.fileno() == -1


async def test_its_certificate_is_renewed_and_one_that_is_refused_is_known(served: Served, tmp_path: Path) -> None:
    async def until(seen: Callable[[TlsReport], bool]) -> None:
        while not seen(served.process.tls):  # noqa: ASYNC110  (what it says comes over a pipe)
            await asyncio.sleep(0.01)

    async with asyncio.timeout(WITHIN):
        await until(lambda tls: bool(tls["files"]))
        assert served.process.tls["files"] == [{"where": "admin.web", "refused": None}]
        [before] = served.process.tls["endings"]
        assert (before.where, before.kind, before.path) == ("admin.web", "certificate", str(tmp_path / "web.pem"))
        good, key = (tmp_path / "web.pem").read_text(), (tmp_path / "web.key").read_text()
        (tmp_path / "web.pem").write_text("broken")
        await until(lambda tls: tls["files"][0]["refused"] is not None)
        assert served.process.tls["endings"] == [before], "what is in use"
        make_files(tmp_path)  # by another authority, and another key
        served.trust.load_verify_locations(cafile=str(tmp_path / "ca.pem"))
        await until(lambda tls: tls["files"][0]["refused"] is None)
        assert await served.show() == 303
    assert good != (tmp_path / "web.pem").read_text()
    assert key != (tmp_path / "web.key").read_text()
