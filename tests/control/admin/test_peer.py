from __future__ import annotations

import asyncio
import os
import pwd
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import ClientSession

from lbproxy.control.admin import web
from lbproxy.control.admin.peer import BY_ADDRESS, ON_BEHALF, peer
from lbproxy.control.admin.server import AdminServer
from lbproxy.control.admin.sockets import Bind, listen

ASK = """
import os, socket, sys
os.setuid(int(sys.argv[2]))
sock = socket.socket(socket.AF_UNIX)
sock.connect(sys.argv[1])
sock.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
while got := sock.recv(4096):
    sys.stdout.buffer.write(got)
"""
"""A client that is another user."""


async def served(bind: Bind) -> AdminServer:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=await peer(request))

    server = AdminServer(listen(bind), [web.get("/", answer)])
    await server.start()
    return server


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder that other users may enter, as pytest's own is not."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


async def asked(path: Path, user: int) -> str:
    os.chmod(path, 0o666)  # noqa: PTH101
    path.parent.chmod(0o755)
    command = [sys.executable, "-c", ASK, str(path), str(user)]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=True)
    return done.stdout.rpartition("\n\n")[2]


async def test_on_a_unix_socket_it_is_the_user(short: Path) -> None:
    server = await served(short / "admin.sock")
    try:
        assert await asked(short / "admin.sock", os.getuid()) == pwd.getpwuid(os.getuid()).pw_name
    finally:
        await server.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
async def test_who_has_no_name_is_a_number(short: Path) -> None:
    server = await served(short / "admin.sock")
    try:
        assert await asked(short / "admin.sock", 65534) == "nobody"
        assert await asked(short / "admin.sock", 54321) == "54321"
    finally:
        await server.stop()


async def test_on_an_address_it_is_whoever_reaches_it() -> None:
    sock = listen(("127.0.0.1", 0))
    host, port = sock.getsockname()

    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=await peer(request))

    server = AdminServer(sock, [web.get("/", answer)])
    await server.start()
    try:
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(f"GET / HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n".encode())
        assert (await reader.read()).endswith(b"\r\n\r\n" + BY_ADDRESS.encode())
        writer.close()
        await writer.wait_closed()
    finally:
        await server.stop()


async def test_a_program_says_for_whom_it_asks() -> None:
    sock = listen(("127.0.0.1", 0))
    host, port = sock.getsockname()

    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=await peer(request))

    server = AdminServer(sock, [web.get("/", answer)])
    await server.start()
    try:
        async with ClientSession() as session:
            for whom, said in (("olga@CORP.EXAMPLE", "olga@CORP.EXAMPLE via admin"), ("a\u2028b", "a?b via admin")):
                async with session.get(f"http://{host}:{port}/", headers={ON_BEHALF: whom}) as found:
                    assert await found.text() == said
            async with session.get(f"http://{host}:{port}/", headers={ON_BEHALF: "x" * 5000}) as found:
                assert len(await found.text()) < 220
    finally:
        await server.stop()
