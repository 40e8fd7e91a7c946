"""What is tried, side by side behind one balancer: a listener, a pool and its backends each."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

from tests.pki import Authority
from tests.ports import free_port

from ..users import Users
from .backend import serve
from .checks import Ledger

BACKENDS = 4
PEOPLE = 20
"""Users with a certificate, in the mode that mints."""

CHECK = {"kind": "tcp", "interval": "100ms", "timeout": "3s", "rise": 1}


@dataclass(frozen=True)
class Kind:
    """A mode: what its listener and its pool are like."""

    name: str
    tls: bool = False  # towards clients
    backend_tls: bool = False
    proxied: str = "none"  # send_proxy_protocol
    mint: bool = False


KINDS = (
    Kind("shared"),
    Kind("shared-tls", tls=True, backend_tls=True),
    Kind("proxied", proxied="v1"),
    Kind("proxied-tls", tls=True, proxied="v2"),
    Kind("mint", tls=True, backend_tls=True, mint=True),
)


@dataclass
class Mode:
    """One that runs. contexts: the name in a certificate (None: none is shown) -> a client's context (None: plain)."""

    kind: Kind
    ledger: Ledger
    port: int
    contexts: dict[str | None, ssl.SSLContext | None]
    servers: list[asyncio.Server] = field(default_factory=list)
    urls: list[tuple[str, str]] = field(default_factory=list)

    async def start(self, tls: ssl.SSLContext | None) -> None:
        """Start its backends."""
        scheme = "http" if tls is None else "https"
        for number in range(1, BACKENDS + 1):
            name = f"{self.kind.name}-{number}"
            server, port = await serve(name, self.ledger, self.kind.proxied != "none", tls)
            self.servers.append(server)
            self.urls.append((name, f"{scheme}://127.0.0.1:{port}"))

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    def people(self) -> Iterator[str]:
        """The names in the users' certificates, again and again."""
        return cycle([name for name in self.contexts if name is not None] or [""])


class Site:
    """The files of all modes, in `directory`, and the balancer's configuration."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.users = Users(directory)
        self.mint = Authority.root("mint", path_length=0)
        (directory / "mint.key").write_bytes(self.mint.key_pem)
        self._mint_table = {
            "ca_certificate": str(self.mint.write_certificate(directory / "mint.pem")),
            "ca_key": str(directory / "mint.key"),
        }

    async def mode(self, kind: Kind, seed: int) -> Mode:
        """A mode whose backends listen."""
        contexts: dict[str | None, ssl.SSLContext | None] = {None: self.users.context() if kind.tls else None}
        if kind.mint:
            for number in range(PEOPLE):
                name = f"person{number}"
                contexts[name] = self.users.context(self.users.staff.issue(name))
        mode = Mode(kind, Ledger(kind.name, seed), free_port(), contexts)
        await mode.start(self._backend_tls(kind) if kind.backend_tls else None)
        return mode

    def _backend_tls(self, kind: Kind) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.users.login.chain, self.users.login.key)
        if kind.mint:
            context.verify_mode = ssl.CERT_OPTIONAL
            context.load_verify_locations(self.directory / "mint.pem")
        return context

    def configuration(self, modes: list[Mode]) -> dict[str, Any]:
        """Of a balancer in front of all of them. A machine that is only busy should meet none of its timeouts."""
        return {
            "server_url": f"http://login.test:{modes[0].port}",
            "drain_timeout": "5m",
            "listener": {mode.kind.name: self._listener(mode) for mode in modes},
            "pool": {mode.kind.name: self._pool(mode) for mode in modes},
            "access_log": {"path": ""},
            "admin": {"bind": f"unix:{self.directory / 'admin.sock'}"},
        }

    def _listener(self, mode: Mode) -> dict[str, Any]:
        table: dict[str, Any] = {
            "bind": f"127.0.0.1:{mode.port}",
            "pool": mode.kind.name,
            "hosts": ["*"],
            "header_timeout": "60s",
            "idle_timeout": "60s",
        }
        if mode.kind.mint:
            table["tls"] = self.users.tls(required=False, client_identity="mint", mint=self._mint_table)
        elif mode.kind.tls:
            table["tls"] = {"certificate": str(self.users.login.chain), "key": str(self.users.login.key)}
        return table

    def _pool(self, mode: Mode) -> dict[str, Any]:
        table: dict[str, Any] = {
            "backends": [{"name": name, "url": url} for name, url in mode.urls],
            "check": CHECK,
            "send_proxy_protocol": mode.kind.proxied,
            "response_timeout": "5s",
            "readmit_backoff": "0s",
            "retry_budget": "100%",
            "retry_statuses": [503],
        }
        if mode.kind.backend_tls:
            table["tls"] = {"ca": str(self.users.server_ca), "server_name": "login.test"}
        return table
