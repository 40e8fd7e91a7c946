"""Users with client certificates, and the listener that asks for them."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509

from tests.pki import Authority, Files, Holder, write_crls

from .backend import Lane, ScriptedBackend, answer
from .balancer import Balancer, running
from .client import HOST, Client
from .configuration import configuration
from .message import Cut

OTHER_HOST = "sso.test"


class Users:
    """The files of a listener, in `directory`: an authority `root` that vouches for users, and another for servers.

    `staff` is an authority below `root` that issues the users of most tests.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.root = Authority.root("users root")
        self.staff = self.root.intermediate("staff")
        self.servers = Authority.root("servers root")
        self.ca = self.root.write_certificate(directory / "users-ca.pem")
        self.server_ca = self.servers.write_certificate(directory / "servers-ca.pem")
        self.login = self.servers.server(HOST, "127.0.0.1").write(directory, "login")
        self.crl = directory / "users.crl"
        self._written = 0

    def revoke(self, *crls: x509.CertificateRevocationList) -> Path:
        """Replace the file of revocation lists, as a careful script does: all of it at once."""
        fresh = write_crls(self.directory / "fresh.crl", *crls)
        fresh.replace(self.crl)
        return self.crl

    def write(self, holder: Holder) -> Files:
        """The files of a user, for a program that connects as that user."""
        self._written += 1
        return holder.write(self.directory, f"user{self._written}")

    def tls(self, required: bool = True, **keys: Any) -> dict[str, Any]:
        """A listener's `tls` table."""
        asked = {"client_certificate": "required" if required else "optional", "client_ca": str(self.ca)}
        return {"certificate": str(self.login.chain), "key": str(self.login.key), **asked, **keys}

    def context(self, holder: Holder | None = None, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
        """Of a client that appears as `holder`, with that version of TLS only."""
        context = ssl.create_default_context(cafile=self.server_ca)
        if version is not None:
            context.minimum_version = context.maximum_version = version
        if holder is not None:
            files = self.write(holder)
            context.load_cert_chain(files.chain, files.key)
        return context

    def curl(self, holder: Holder | None = None) -> list[str]:
        """curl's options for the same."""
        return ["--cacert", str(self.server_ca), *self._shown(holder, "--cert", "--key")]

    def s_client(self, holder: Holder | None = None) -> list[str]:
        """Those of `openssl s_client`."""
        chain = [] if holder is None else ["-cert_chain", str(self.write(holder).chain)]
        return ["-CAfile", str(self.server_ca), *self._shown(holder, "-cert", "-key"), *chain]

    def _shown(self, holder: Holder | None, certificate: str, key: str) -> list[str]:
        if holder is None:
            return []
        files = self.write(holder)
        return [certificate, str(files.chain), key, str(files.key)]


async def names_the_user(lane: Lane) -> None:
    """A backend's script: answers with whether lbproxy told of a certificate."""
    while seen := await lane.request():
        await lane.send(answer(b"known" if seen.get("client-cert") else b"unknown"))


def gate_config(users: Users, *backends: ScriptedBackend, **tls: Any) -> dict[str, Any]:
    """A `configuration` of a listener that asks for certificates; `tls` adds keys to its table, or replaces them."""
    table = users.tls(**{"client_identity": "rfc9440", **tls})
    config = configuration(users.directory, [(each.name, each.url) for each in backends], listener={"tls": table})
    config["server_url"] = config["server_url"].replace("http:", "https:")
    return config


@dataclass(frozen=True)
class Gate:
    """A balancer that asks for certificates, its backend, and the users."""

    balancer: Balancer
    backend: ScriptedBackend
    users: Users

    @classmethod
    @asynccontextmanager
    async def open(cls, users: Users, backend: ScriptedBackend, **tls: Any) -> AsyncIterator[Gate]:
        """One for a block; see `gate_config`."""
        async with running(gate_config(users, backend, **tls), users.directory) as balancer:
            yield cls(balancer, backend, users)

    async def connect(self, holder: Holder | None = None, version: ssl.TLSVersion | None = None) -> Client:
        """A client connection of that user."""
        return await self.balancer.connect(tls=self.users.context(holder, version))

    async def believes(self, holder: Holder, version: ssl.TLSVersion | None = None) -> bool:
        """Whether a new connection of that user is served."""
        try:
            async with await self.connect(holder, version) as client:
                return (await client.ask()).status == 200
        except (Cut, ConnectionError, ssl.SSLError):
            return False
