"""The facts of an instance, for the consistency guard: what they are, and where they are served.

What is secret is told by keyed digests (see `digests`). Still, they are served to this host only, or to those who have
a certificate: the version and the address of a sign-in service are not for other clients.
"""

from __future__ import annotations

import asyncio
import signal
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from aiohttp import web
from pydantic import BaseModel

from lbproxy import files
from lbproxy.errors import InstanceError, LbproxyError
from lbproxy.files import stamp
from lbproxy.instance import digests
from lbproxy.instance.kinds import load
from lbproxy.instance.model import Where

PATH = "/facts"
_STOP_WITHIN = 1.0  # seconds


class Facts(BaseModel):
    """As JSON has them; `key_id` is that of `digests`."""

    kind: str
    key_id: str
    facts: dict[str, str]


def read_facts(kind: str, where: Where) -> Facts:
    """Those of the instance at `where`, as its files are now. Raises InstanceError."""
    instance = load(kind, where)
    key = digests.digest_key(instance.material)
    return Facts(kind=kind, key_id=digests.key_id(key), facts=digests.facts(instance, key))


class TlsFiles(NamedTuple):
    """PEM files: the server's chain and key, and the authorities of those who may ask."""

    certificate: Path
    key: Path
    client_ca: Path


def server_context(tls: TlsFiles) -> ssl.SSLContext:
    """A context that refuses clients without a certificate of `client_ca`. Raises InstanceError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        for path in tls:
            files.check(path)
        context.load_cert_chain(tls.certificate, tls.key, password="")  # or OpenSSL would ask at the terminal
        context.load_verify_locations(tls.client_ca)
    except (OSError, ssl.SSLError) as error:
        named = getattr(error, "filename", None)
        raise InstanceError(f"{named or ', '.join(map(str, tls))}: cannot be used for TLS: {error}") from None
    return context


class RenewedTls:
    """TLS with the files as they are when a client connects; while they cannot be used, with the last that could be."""

    def __init__(self, files: TlsFiles, tell: Callable[[str], None]) -> None:
        """tell: gets a sentence when changed files cannot be used. Raises InstanceError if they cannot be used now."""
        self._files = files
        self._tell = tell
        self._seen = [*map(stamp, files)]
        self._current = self.context = server_context(files)
        self.context.sni_callback = self._connected  # for each handshake, with a server name or without one

    def __repr__(self) -> str:
        return f"<TLS of {self._files.certificate}>"

    def _connected(self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        found = [*map(stamp, self._files)]
        if found != self._seen:
            self._seen = found
            try:
                self._current = server_context(self._files)
            except InstanceError as error:
                self._tell(f"{error}; the files from before are used")
        connection.context = self._current


class FactsServer:
    """Serves `read()` at /facts, as JSON. It is read anew for each request, one at a time."""

    def __init__(self, read: Callable[[], Facts], tell: Callable[[str], None]) -> None:
        """tell: gets a sentence when the facts cannot be read, once for each trouble."""
        self._read = read
        self._tell = tell
        self._one = asyncio.Lock()
        self._trouble = ""
        app = web.Application()
        app.add_routes([web.get(PATH, self._answer)])
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_STOP_WITHIN)

    def __repr__(self) -> str:
        return f"<facts server {self._runner.addresses}>"

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None) -> tuple[str, int]:
        """Where it listens. Raises InstanceError."""
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port, ssl_context=tls).start()
        except OSError as error:
            await self._runner.cleanup()
            raise InstanceError(f"{host}:{port}: {error.strerror}") from None
        address = self._runner.addresses[0]
        return address[0], address[1]

    async def stop(self) -> None:
        """Close."""
        await self._runner.cleanup()

    async def _answer(self, _: web.Request) -> web.Response:
        """503 if the instance cannot be read: then the guard does not know its facts, and changes nothing."""
        try:
            async with self._one:
                found = await asyncio.to_thread(self._read)
        except (LbproxyError, OSError) as error:
            self._say(str(error))
            return web.json_response({"error": str(error)}, status=503)
        self._say("")
        return web.Response(text=found.model_dump_json(), content_type="application/json")

    def _say(self, trouble: str) -> None:
        if trouble and trouble != self._trouble:
            self._tell(f"the facts cannot be read: {trouble}")
        self._trouble = trouble


async def serve(
    server: FactsServer, host: str, port: int, tls: ssl.SSLContext | None, ready: Callable[[str, int], None]
) -> None:
    """Until TERM or INT. Raises InstanceError."""
    end = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end.set)
    ready(*await server.start(host, port, tls))
    await end.wait()
    await server.stop()
