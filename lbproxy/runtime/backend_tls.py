"""lbproxy's own connections to a pool's backends, which carry no user's request: what comes first, and their TLS."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Iterable, Mapping, Set
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from lbproxy import config as settings
from lbproxy import files
from lbproxy.auth.mint import Minted
from lbproxy.balance.backend import Backend
from lbproxy.control.log import event
from lbproxy.errors import StartError
from lbproxy.net.tls.files import Watch, in_memory, show_chain
from lbproxy.runtime.probe_certificate import Identity, question
from lbproxy.wire.hosts import port_of
from lbproxy.wire.proxyproto import encode

log = logging.getLogger(__name__)


def greeting(pool: settings.Pool) -> bytes:
    """Where backends want a PROXY header, one that tells of no user (doc/proxy-protocol.txt section 2); else b""."""
    version = pool.send_proxy_protocol
    return b"" if version == "none" else encode(version, None, None)


def greeting_at(pool: settings.Pool, backend: Backend, url: str) -> bytes:
    """The same for a page: a backend waits for a header at its own port only, and a server elsewhere would choke."""
    return greeting(pool) if is_at(backend, url) else b""


def is_at(backend: Backend, url: str) -> bool:
    """Whether the page is served by the backend itself, at its own port."""
    parts = urlsplit(url)
    return (parts.hostname, port_of(parts)) == (backend.host, backend.port)


class Renewed(ssl.SSLContext):
    """A context that is made anew for the next handshake when its files, or its minted certificate, have changed.

    Files that cannot be used change nothing, which the log says.
    """

    _files: tuple[Path, ...]
    _make: Callable[[Minted | None], ssl.SSLContext]
    _made: ssl.SSLContext
    _watch: Watch
    _identity: Identity | None
    _shown: Minted | None

    @classmethod
    def of(
        cls, files: Iterable[Path], make: Callable[[Minted | None], ssl.SSLContext], identity: Identity | None
    ) -> Renewed:
        """`make` reads the files; what it raises the first time is raised."""
        renewed = cls(ssl.PROTOCOL_TLS_CLIENT)
        renewed._files, renewed._make = tuple(files), make
        renewed._identity = identity
        renewed._shown = None if identity is None else identity.current()
        renewed._watch, renewed._made = Watch(renewed._files), make(renewed._shown)
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
        """What event loops begin a handshake with. Raises NoIdentityError."""
        shown = None if self._identity is None else self._identity.current()
        if self._watch.changed() or shown is not self._shown:
            self._renew(shown)
        return self._made.wrap_bio(incoming, outgoing, server_side, server_hostname, session)

    def _renew(self, shown: Minted | None) -> None:
        try:
            self._made = self._make(shown)
            self._shown = shown
        except OSError as error:  # ssl.SSLError is one
            event(log, logging.ERROR, "certificate_kept", certificate=self._files[0], error=error)


def contexts(
    pool: str, tls: settings.PoolTls, needed: Set[bool], identity: Identity | None = None
) -> dict[bool, ssl.SSLContext]:
    """The `context` of `pool` that verifies, the one that does not, or both; files are read again when they change.

    identity: whose certificate is shown, anew when there is a new one. Raises StartError.
    """
    own = [path for path in (tls.certificate, tls.key) if path is not None]
    files = {True: own if tls.ca is None else [tls.ca, *own], False: own}
    try:
        return {verify: Renewed.of(files[verify], partial(context, tls, verify), identity) for verify in needed}
    except OSError as error:
        raise StartError(f"pool.{pool}.tls: its files cannot be used: {error}") from error


class Towards:
    """The contexts towards the backends of a pool, by whether they verify, and towards pages at other servers.

    `identity` is shown to the backends alone: another server may trust no mint. `question`: see
    `attempt.describe`.
    """

    def __init__(self, pool: str, options: settings.Pool, needed: Set[bool], identity: Identity | None) -> None:
        """Raises StartError."""
        self._pool = pool
        self._tls = options.tls
        self._identity = identity
        self.elsewhere: dict[bool, ssl.SSLContext] = {}
        self.itself = self.elsewhere if identity is None else {}
        self.question = question(options.tls, identity)
        self.also(needed)

    def __repr__(self) -> str:
        return f"<TLS contexts, {len(self.itself)} towards backends>"

    def also(self, needed: Set[bool]) -> None:
        """Have those too. Raises StartError."""
        missing = needed - self.elsewhere.keys()
        self.elsewhere |= contexts(self._pool, self._tls, missing)
        if self._identity is not None:
            self.itself |= contexts(self._pool, self._tls, needed - self.itself.keys(), self._identity)

    def at(self, backend: Backend, url: str) -> Mapping[bool, ssl.SSLContext]:
        """Those for the page `url` of a backend."""
        return self.itself if is_at(backend, url) else self.elsewhere

    def question_at(self, backend: Backend, url: str) -> str:
        """The question, if anything is shown to ask about."""
        shown = url.startswith("https:") and (is_at(backend, url) or self.itself is self.elsewhere)
        return self.question if shown else ""


def context(tls: settings.PoolTls, verify: bool, shown: Minted | None = None) -> ssl.SSLContext:
    """With the certificate `shown`, or else lbproxy's own, if there is one.

    With `verify`, a backend needs one that `tls.ca` vouches for.

    Raises OSError or ssl.SSLError when a file cannot be used.
    """
    made = _verifying(tls.ca) if verify else _believing()
    if shown is not None:
        with in_memory(shown.certificate_pem + shown.key_pem) as path:
            made.load_cert_chain(path)
    elif tls.certificate is not None and tls.key is not None:
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
