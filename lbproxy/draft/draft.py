"""The answers that a configuration cannot do without, and the commented file that they amount to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from socket import getfqdn
from typing import Literal
from urllib.parse import urlsplit

from lbproxy.config import Address
from lbproxy.config.addresses import url_host

Kind = Literal["none", "tcp", "tls", "http", "kerberos"]

_CHECKS = {
    "none": "Backends are not asked; they are out only after requests failed.",
    "tcp": 'A backend is well if it takes a connection. "http" asks for a page, "kerberos" signs in: they see more.',
    "tls": "A backend is well if its TLS handshake succeeds.",
    "http": "A backend is well if it answers this page with one of these statuses. Choose one that needs no sign-in.",
    "kerberos": "A probe signs in with a ticket, as users do: it finds a connector with a wrong key.",
}


@dataclass(frozen=True, slots=True)
class Kerberos:
    """What the Kerberos check signs in with; see [pool.NAME.check.kerberos]."""

    principal: str
    keytab: Path
    spn: str


@dataclass(frozen=True, slots=True)
class Draft:
    """One listener and one pool.

    server_url: the address that users know; "" is the listener's own, and then every Host is served.
    backends: their URLs; tcp:// for all of them passes connections through.
    certificate, key: PEM files for TLS towards users; both or neither.
    path, expect: of the page, for the http and kerberos checks. admin: where commands reach it; None is the default.
    """

    listen: Address
    backends: tuple[str, ...]
    server_url: str = ""
    certificate: Path | None = None
    key: Path | None = None
    check: Kind = "tcp"
    path: str = "/"
    expect: tuple[int, ...] = field(default=(200, 302, 401))
    kerberos: Kerberos | None = None
    admin: Address | None = None

    @property
    def passes_through(self) -> bool:
        """Whether connections are passed through instead of requests."""
        return all(urlsplit(url).scheme == "tcp" for url in self.backends)

    @property
    def address(self) -> str:
        """The server_url of the file."""
        if self.server_url:
            return self.server_url
        ip = self.listen.ip
        host = self.listen.host if ip is None or not ip.is_unspecified else getfqdn()
        scheme = "https" if self.certificate is not None else "http"
        return f"{scheme}://{Address(host, self.listen.port)}"

    @property
    def host(self) -> str:
        """The host of `address`, without port."""
        return url_host(urlsplit(self.address))

    def toml(self) -> str:
        """The file, with a comment where there is something to choose."""
        return "\n".join([*self._top(), *self._listener(), *self._pool(), *self._admin()]) + "\n"

    def _top(self) -> Iterator[str]:
        yield "# The one address that users and the identity provider know."
        yield f"server_url = {_text(self.address)}"
        yield ""

    def _listener(self) -> Iterator[str]:
        yield "[listener.login]"
        yield f"bind = {_text(self.listen)}"
        if self.passes_through:
            yield 'mode = "tcp"'
        yield 'pool = "connectors"'
        if not self.server_url and not self.passes_through:
            yield "# Every Host is served. Set server_url and remove this line, and only its host is."
            yield 'hosts = ["*"]'
        yield ""
        if self.certificate is not None:
            yield "[listener.login.tls]"
            yield "# The files are picked up again when they change."
            yield f"certificate = {_text(self.certificate)}"
            yield f"key = {_text(self.key)}"
            yield ""

    def _pool(self) -> Iterator[str]:
        yield "[pool.connectors]"
        yield "backends = ["
        yield from (f'  {{ name = "c{number}", url = {_text(url)} }},' for number, url in enumerate(self.backends, 1))
        yield "]"
        yield ""
        yield f"# {_CHECKS[self.check]}"
        yield "[pool.connectors.check]"
        yield f"kind = {_text(self.check)}"
        if self.check in ("http", "kerberos"):
            yield f"path = {_text(self.path)}"
        if self.check == "http":
            yield f"expect = {list(self.expect)}"
        yield ""
        if self.kerberos is not None:
            yield "[pool.connectors.check.kerberos]"
            yield f"principal = {_text(self.kerberos.principal)}"
            yield f"keytab = {_text(self.kerberos.keytab)}"
            yield f"spn = {_text(self.kerberos.spn)}"
            yield ""

    def _admin(self) -> Iterator[str]:
        if self.admin is not None:
            yield "# Where lbproxy status, drain, reload and the other commands reach it: its own user and root only."
            yield "[admin]"
            yield f"bind = {_text(self.admin)}"
            yield ""
        yield "# Every other key, with its default: config/lbproxy.toml, or `lbproxy help KEY`."


def _text(value: object) -> str:
    """A basic string of TOML; its escapes are those of JSON (TOML 1.0, "String")."""
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
