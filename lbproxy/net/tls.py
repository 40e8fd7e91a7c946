"""TLS contexts: towards clients, followed as their files change, and towards https backends."""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lbproxy import reasons
from lbproxy.auth.certificate import ClientCertificate
from lbproxy.auth.mint import Minted
from lbproxy.reasons import Reason

_log = logging.getLogger(__name__)

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}

_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""For TLS 1.2: forward secrecy and AEAD only (RFC 9325 section 4.2). TLS 1.3 has no others."""


@dataclass(frozen=True, slots=True)
class ClientPolicy:
    required: bool
    ca: Path
    crl: tuple[Path, ...] = ()


class ClientRefused(Exception):
    reason: Reason
    detail: str


def refusal(error: Exception) -> tuple[Reason, str]:
    return reasons.TLS_FAILED, str(error)


def requested_name(tls: ssl.SSLSocket) -> str | None:
    return None


class BackendTls:
    def __init__(
        self, ca: Path | None, *, verify: bool, server_name: str | None, own: tuple[Path, Path] | None = None
    ) -> None:
        self.context = client_context(ca, verify)
        self.server_name = server_name

    def wrap(self, sock: socket.socket, host: str) -> ssl.SSLSocket:
        return self.context.wrap_socket(
            sock,
            server_hostname=self.server_name or host,
            do_handshake_on_connect=False,
            suppress_ragged_eofs=False,
        )

    def remember(self, tls: ssl.SSLSocket, host: str) -> None: ...

    def minted(self, minted: Minted) -> BackendTls:
        raise NotImplementedError

    def refresh(self) -> bool:
        return False


class ServerTls:
    """A listener's certificate and key; `context` is made anew when a file changes.

    A file that cannot be used leaves the running one in place and is logged: a renewal that goes wrong must not end
    the service before the certificate that is there expires.
    """

    uri: str | None = None

    def __init__(
        self, pairs: Sequence[tuple[Path, Path]], minimum_version: str, client: ClientPolicy | None = None
    ) -> None:
        """Raises OSError or ssl.SSLError when the files cannot be used."""
        assert client is None
        self._files = pairs[0]
        self._minimum = _VERSIONS[minimum_version]
        self._seen = self._stamp()
        self.context = self._load()

    def __repr__(self) -> str:
        return f"<server TLS {self._files[0]}>"

    def verify(self, tls: ssl.SSLSocket) -> ClientCertificate | None:
        return None

    def still_good(self, certificate: ClientCertificate, now: float) -> Reason | None:
        return None

    def refresh(self) -> bool:
        """Look at the files; True when a new certificate is used from now on."""
        stamp = self._stamp()
        if stamp == self._seen:
            return False
        self._seen = stamp
        try:
            self.context = self._load()
        except (OSError, ssl.SSLError) as error:
            _log.error("certificate_kept", extra={"fields": {"certificate": self._files[0], "error": error}})
            return False
        _log.info("certificate_loaded", extra={"fields": {"certificate": self._files[0]}})
        return True

    def _stamp(self) -> list[tuple[int, int, int] | None]:
        """What changes with the content, through symbolic links as well."""
        found: list[tuple[int, int, int] | None] = []
        for path in self._files:
            try:
                status = path.stat()
            except OSError:
                found.append(None)
            else:
                found.append((status.st_mtime_ns, status.st_ino, status.st_size))
        return found

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = self._minimum
        context.set_ciphers(_CIPHERS)
        # Rule 8: a user's identity may live on the connection, so requests of one never interleave.
        context.set_alpn_protocols(["http/1.1"])
        context.options |= ssl.OP_NO_RENEGOTIATION
        # OpenSSL sends two by default, which doubles what an idle connection holds (bench/README.md).
        context.num_tickets = 1
        # For an encrypted key OpenSSL would ask on the terminal, and everything would wait for an answer.
        context.load_cert_chain(*self._files, password="")
        return context


def client_context(ca: Path | None, verify: bool) -> ssl.SSLContext:
    """The context for lanes to https backends; ca None: the system's. Raises OSError or ssl.SSLError."""
    context = ssl.create_default_context(cafile=ca)
    context.set_alpn_protocols(["http/1.1"])
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
