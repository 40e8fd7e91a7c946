"""What `lbproxy health` makes of whatever answers, or does not."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from lbproxy.control.admin.health import ask_health
from lbproxy.control.admin.leave import leave_routes
from lbproxy.control.admin.server import AdminServer
from lbproxy.control.admin.sockets import Bind, listen
from lbproxy.control.snapshot import Snapshot
from tests.control.admin.test_leave import Stays
from tests.control.sample import snapshot


@asynccontextmanager
async def admin(bind: Bind, state: str = "serving") -> AsyncIterator[Bind]:
    def seen() -> Snapshot:
        return {**snapshot(), "state": state}  # type: ignore[typeddict-item]  # the table has some

    sock = listen(bind)
    server = AdminServer(sock, leave_routes(Stays(), seen))
    where = bind if isinstance(bind, Path) else sock.getsockname()[:2]
    await server.start()
    try:
        yield where
    finally:
        await server.stop()


async def ask(bind: Bind) -> tuple[bool, str]:
    return await asyncio.to_thread(ask_health, bind, 5.0)


@pytest.mark.parametrize("where", ["path", "127.0.0.1", "::1"])
async def test_yes_and_no(tmp_path: Path, where: str) -> None:
    bind: Bind = tmp_path / "admin.sock" if where == "path" else (where, 0)
    async with admin(bind) as there:
        assert await ask(there) == (True, "ok")
    async with admin(bind, "leaving") as there:
        assert await ask(there) == (False, "lbproxy is leaving")


def test_nobody_is_there(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    assert ask_health(path, 5.0) == (False, "lbproxy is not running")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert ask_health(path, 5.0) == (False, "lbproxy is not running")
    assert ask_health(("127.0.0.1", 1), 5.0) == (False, "lbproxy is not running")


def test_no_answer_is_a_no(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "admin.sock"))
        silent.listen()
        assert ask_health(tmp_path / "admin.sock", 0.05) == (False, "lbproxy does not answer within 0.05 s")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"SSH-2.0-x\r\n", "SSH-2.0-x"),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "HTTP/1.1 404 Not Found"),
    ],
)
async def test_what_answers_is_something_else(tmp_path: Path, answer: bytes, said: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async with await asyncio.start_unix_server(serve, tmp_path / "admin.sock"):
        assert await ask(tmp_path / "admin.sock") == (False, f"not lbproxy, or an older one: {said}")


@pytest.mark.parametrize("reset", [False, True])
def test_a_connection_that_ends_is_asked_again(tmp_path: Path, reset: bool) -> None:
    """A generation has ended, and the next one has the same socket."""
    with socket.socket(socket.AF_UNIX) as server, ThreadPoolExecutor() as pool:
        server.bind(str(tmp_path / "admin.sock"))
        server.listen()
        asking = pool.submit(ask_health, tmp_path / "admin.sock", 60.0)
        old, _ = server.accept()
        if not reset:
            old.recv(1000)
        old.close()  # with the request unread, that is a reset
        new, _ = server.accept()
        new.recv(1000)
        new.sendall(b"HTTP/1.1 200 OK\r\n\r\nok\n")
        new.close()
        assert asking.result() == (True, "ok")


def test_no_answer_over_and_over_is_a_no(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server, ThreadPoolExecutor() as pool:
        server.bind(str(tmp_path / "admin.sock"))
        server.listen()
        asking = pool.submit(ask_health, tmp_path / "admin.sock", 0.1)
        server.settimeout(0.1)
        with suppress(TimeoutError):
            while not asking.done():
                server.accept()[0].close()
        assert asking.result() == (False, "lbproxy does not answer within 0.1 s")


def test_it_imports_next_to_nothing() -> None:
    """keepalived runs it every second."""
    program = "import sys; from lbproxy.cli.health import command; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ)
    heavy = {"asyncio", "aiohttp", "http.client", "pydantic", "rich", "ssl", "uvloop"}
    assert heavy & set(done.stdout.split()) == set()
