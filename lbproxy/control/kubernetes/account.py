"""Where the API server is, and which account asks it."""

from __future__ import annotations

import os
import ssl
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lbproxy import files
from lbproxy.control.kubernetes.errors import AccountError

MOUNTED = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where the kubelet keeps a pod's token, namespace and authorities up to date."""


@dataclass(frozen=True, slots=True)
class Access:
    """The URL of the API server, without a slash at its end, and what a request needs.

    `authorization` is a header's value, "" if a certificate in `tls` says who asks. `server_name` stands in for the
    host of the URL in TLS; `proxy` is the URL of an HTTP proxy.
    """

    server: str
    tls: ssl.SSLContext | None = None
    authorization: str = field(default="", repr=False)
    proxy: str | None = None
    server_name: str | None = None


class Account(ABC):
    """`where` is what people call it."""

    where: str

    @abstractmethod
    async def access(self, renew: bool = False) -> Access:
        """As it is now: tokens are short-lived. Raises AccountError.

        renew: what was given last is not accepted.
        """

    @abstractmethod
    async def namespace(self) -> str:
        """The one that is meant if none is named. Raises AccountError."""


class PodAccount(Account):
    """The account of the pod that this runs in. The kubelet replaces the token about once an hour."""

    where = "the pod's account"

    def __init__(self, directory: Path = MOUNTED, environ: Mapping[str, str] = os.environ) -> None:
        self._directory = directory
        self._environ = environ
        self._authorities = b""
        self._tls: ssl.SSLContext | None = None

    def __repr__(self) -> str:
        return f"<pod account in {self._directory}>"

    async def access(self, renew: bool = False) -> Access:
        """See `Account`: everything is read again each time."""
        return Access(self._server(), self._verify(), f"Bearer {self._word('token')}")

    async def namespace(self) -> str:
        """See `Account`."""
        return self._word("namespace")

    def _server(self) -> str:
        host, port = (self._environ.get(f"KUBERNETES_SERVICE_{name}", "") for name in ("HOST", "PORT"))
        if not host or not port:
            raise AccountError("this is not a pod: KUBERNETES_SERVICE_HOST and _PORT are not set; set kubeconfig")
        return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"

    def _verify(self) -> ssl.SSLContext:
        content = self._read("ca.crt")
        if self._tls is None or content != self._authorities:
            try:
                self._tls = tls_context(content.decode("ascii"))
            except (ssl.SSLError, ValueError):
                raise AccountError(f"{self._directory}/ca.crt: there is no usable certificate in it") from None
            self._authorities = content
        return self._tls

    def _word(self, name: str) -> str:
        try:
            found = self._read(name).decode("ascii").strip()
        except UnicodeDecodeError:
            found = ""
        if not found or not found.isprintable() or " " in found:
            raise AccountError(f"{self._directory}/{name}: this is no {name}")  # and is not shown
        return found

    def _read(self, name: str) -> bytes:
        try:
            return files.read(self._directory / name)
        except OSError as error:
            hint = "; the pod needs automountServiceAccountToken" if isinstance(error, FileNotFoundError) else ""
            raise AccountError(f"{self._directory}/{name}: {error.strerror}{hint}") from None


def tls_context(authorities: str | None) -> ssl.SSLContext:
    """TLS towards an API server that one of `authorities` (PEM) vouches for; None: the host's.

    Raises ssl.SSLError or ValueError if there is no certificate in them, rather than to trust others.

    Python 3.13 and newer refuse certificates without extensions that authorities of clusters often leave out (RFC 5280
    section 4.2.1.1); the chain, the dates and the name are verified all the same.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if authorities is None:
        context.load_default_certs()
    else:
        context.load_verify_locations(cadata=authorities)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context
