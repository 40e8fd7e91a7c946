"""An account of a kubeconfig: certificates, tokens, programs that make tokens, and all else that kubectl may need.

Importing it raises MissingExtraError without kubernetes-asyncio, of which only the reading of this file is used. Its
import costs 0.4 s of CPU and 39 MB, so a pod's own account does without; and its watch starts again by itself, where a
source of backends has to know.
"""

from __future__ import annotations

import logging
import re
import ssl
import time
from pathlib import Path
from typing import Any

from lbproxy import files
from lbproxy.control.kubernetes.account import Access, Account, tls_context
from lbproxy.control.kubernetes.errors import AccountError
from lbproxy.errors import MissingExtraError

try:
    from kubernetes_asyncio.client import Configuration
    from kubernetes_asyncio.config import load_kube_config
except ImportError as error:
    raise MissingExtraError("kubeconfig", "kubernetes") from error

logging.getLogger("kubernetes_asyncio").setLevel(logging.CRITICAL)  # all that it says is raised too

GOOD_FOR = 60.0
"""Seconds after which the file is read again, and a program that makes tokens is run again."""

_FIT_TO_SHOW = re.compile(
    r"Invalid kube-config file\. Expected (?:key|object with name) \S+"
    r"|exec: process returned .*|File does not exists: .*"
)
"""Beginnings of the library's sentences; what comes after may quote the file, with its secrets."""


class Kubeconfig(Account):
    """The current context of the file at `path`."""

    def __init__(self, path: Path) -> None:
        self.where = str(path)
        self._path = path
        self._namespace = ""
        self._access: Access | None = None
        self._good_until = 0.0

    def __repr__(self) -> str:
        return f"<kubeconfig {self.where}>"

    async def access(self, renew: bool = False) -> Access:
        """See `Account`."""
        if self._access is None or renew or time.monotonic() >= self._good_until:
            self._access = await self._load()
            self._good_until = time.monotonic() + GOOD_FOR
        return self._access

    async def namespace(self) -> str:
        """See `Account`."""
        await self.access()
        return self._namespace

    async def _load(self) -> Access:
        try:
            files.check(self._path)
        except OSError as error:
            raise AccountError(f"{self.where}: {error.strerror}") from None
        found = Configuration()
        try:
            loader = await load_kube_config(str(self._path), client_configuration=found, persist_config=False)
            self._namespace = str(loader.current_context["context"].get("namespace") or "default")
            return _access(found)
        except OSError as error:  # of a file that it names, or of a temporary one
            raise AccountError(f"{self.where}: {error.filename or 'what it names'}: {error.strerror}") from None
        except Exception as error:  # whatever a library raises over a file that is no kubeconfig
            fit = _FIT_TO_SHOW.match(str(error))
            text = fit[0] if fit else f"it is not a usable kubeconfig ({type(error).__name__})"
            raise AccountError(f"{self.where}: {text}") from None


def _access(found: Any) -> Access:
    return Access(
        found.host,
        _tls(found) if found.host.startswith("https:") else None,
        found.api_key.get("BearerToken", ""),
        found.proxy,
        found.tls_server_name,
    )


def _tls(found: Any) -> ssl.SSLContext:
    context = tls_context(Path(found.ssl_ca_cert).read_text("ascii") if found.ssl_ca_cert else None)
    if not found.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if found.cert_file:
        context.load_cert_chain(found.cert_file, found.key_file)
    return context
