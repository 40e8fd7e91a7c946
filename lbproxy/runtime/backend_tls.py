"""lbproxy's own connections to a pool's backends, which carry no user's request: what comes first, and their TLS."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Iterable, Set
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from lbproxy import config as settings
from lbproxy import files
from lbproxy.balance.backend import Backend
from lbproxy.control.log import event
from lbproxy.errors import StartError
from lbproxy.net.tls.files import Watch, in_memory, show_chain
from lbproxy.wire.hosts import port_of
from lbproxy.wire.proxyproto import encode

log = logging.getLogger(__name__)


def greeting(pool: settings.Pool) -> bytes:
    """Where backends want a PROXY header, one that tells of no user (doc/proxy-protocol.txt section 2); else b""."""
    version = pool.send_proxy_protocol
    return b"" if version == "none" else encode(version, None, None)


def greeting_at(pool: settings.Pool, backend: Backend, url: str) -> bytes:
    """The same for a page: a backend waits for a header at its own port only, and a server elsewhere would choke."""
    parts = urlsplit(url)
    place = parts.hostname, port_of(parts)
    return greeting(pool) if place == (backend.host, backend.port) else b""


class _Renewed(ssl.SSLContext):
    """A context that is made anew when its files have changed, for the handshakes from then on.

    Files that cannot be used change nothing, which the log says.
    """

    _files: tuple[Path, ...]
    _make: Callable[[], ssl.SSLContext]
    _made: ssl.SSLContext
    _watch: Watch

    @classmethod
    def of(cls, files: Iterable[Path], make: Callable[[], ssl.SSLContext]) -> _Renewed:
        """`make` reads the files; what it raises the first time is raised."""
        renewed = cls(ssl.PROTOCOL_TLS_CLIENT)
        renewed._files, renewed._make = tuple(files), make
        renewed._watch, renewed._made = Watch(renewed._files), make()
        renewed.check_hostname = renewed._made.check_hostname
        renewed.verify_mode = renewed._made.verify_mode
        return renewed

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """What event loops begin a handshake with."""
        if self._watch.changed():
            self._renew()
        return self._made.wrap_bio(incoming, outgoing, server_side, server_hostname, session)

    def _renew(self) -> None:
        try:
            self._made = self._make()
        except OSError as error:  # ssl.SSLError is one
            event(log, logging.ERROR, "certificate_kept", certificate=self._files[0], error=error)


def contexts(pool: str, tls: settings.PoolTls, needed: Set[bool]) -> dict[bool, ssl.SSLContext]:
    """The `context` of `pool` that verifies, the one that does not, or both; files are read again when they change.

    Raises StartError.
    """
    own = [path for path in (tls.certificate, tls.key) if path is not None]
    files = {True: own if tls.ca is None else [tls.ca, *own], False: own}
    try:
        return {verify: _Renewed.of(files[verify], partial(context, tls, verify)) for verify in needed}
    except OSError as error:
        raise StartError(f"pool.{pool}.tls: its files cannot be used: {error}") from error


def context(tls: settings.PoolTls, verify: bool) -> ssl.SSLContext:
    """With lbproxy's own certificate, if there is one; with `verify`, a backend needs one that `tls.ca` vouches for.

    Raises OSError or ssl.SSLError when a file cannot be used.
    """
    made = _verifying(tls.ca) if verify else _believing()
    if tls.certificate is not None and tls.key is not None:
        show_chain(made, tls.certificate, tls.key)
    return made


def _verifying(ca: Path | None) -> ssl.SSLContext:
    if ca is None:
        return ssl.create_default_context()
    with in_memory(files.read(ca)) as path:
        return ssl.create_default_context(cafile=path)


def _believing() -> ssl.SSLContext:
    """Takes every certificate. Made bare: to load the system's authorities takes too long for a running loop."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    return made
