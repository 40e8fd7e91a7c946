"""Real small servers: TLS that says nothing, HTTP/1.1 with a limit of its head, and a connector's process."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from lbproxy.control.snapshot import Snapshot
from tests.pki import Files

_SERVER_JS = """
import socket, sys
both = ":" in sys.argv[1]
family = socket.AF_INET6 if both else socket.AF_INET
sock = socket.create_server((sys.argv[1], int(sys.argv[2])), family=family, dualstack_ipv6=both)
print(sock.getsockname()[1], flush=True)
while True:
    client, _ = sock.accept()
    client.recv(65536)
    client.sendall(b"HTTP/1.1 302 Found\\r\\nContent-Length: 0\\r\\n\\r\\n")
    client.close()
"""


@contextmanager
def runs(directory: Path, host: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """server.js of a connector's directory as a process, which answers 302; its port."""
    (directory / "server.js").write_text(_SERVER_JS)
    command = [sys.executable, "server.js", host, str(port)]
    with subprocess.Popen(command, cwd=directory, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.kill()


def context(files: Files) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(files.chain, files.key)
    return made


@asynccontextmanager
async def tls_server(files: Files, host: str = "127.0.0.1") -> AsyncIterator[int]:
    """Shakes hands; its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(serve, host, 0, ssl=context(files)) as server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def limited(limit: int, name: str, how: bytes = b"HTTP/1.1 431 Too Large") -> AsyncIterator[int]:
    """Answers heads of at most `limit` bytes with 401; larger ones as `how` says, b"" by closing."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 401 Unauthorized\r\nServer: %b\r\nContent-Length: 0\r\n\r\n" % name.encode())
        except asyncio.LimitOverrunError:
            await reader.read(1 << 20)
            writer.write(how + b"\r\nContent-Length: 0\r\n\r\n" if how else b"")
        except asyncio.IncompleteReadError:
            pass
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, limit=limit) as server:
        yield server.sockets[0].getsockname()[1]


Handler = Callable[[web.Request], Any]


@asynccontextmanager
async def site(routes: dict[str, Handler], files: Files | None = None) -> AsyncIterator[int]:
    """An HTTP server; its port."""
    app = web.Application()
    app.add_routes([web.get(path, handler) for path, handler in routes.items()])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    made = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=None if files is None else context(files))
    await made.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def admin(path: Path, shown: Snapshot) -> AsyncIterator[None]:
    """An admin interface at the Unix socket `path` that shows this."""

    async def status(_: web.Request) -> web.Response:
        return web.json_response(shown)

    app = web.Application()
    app.add_routes([web.get("/status", status)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.UnixSite(runner, str(path)).start()
    try:
        yield
    finally:
        await runner.cleanup()
