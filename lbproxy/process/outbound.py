"""lbproxy's own connections to a pool's backends, which carry no user's request: what comes first, and their TLS."""

from __future__ import annotations

import ssl
from collections.abc import Set
from urllib.parse import urlsplit

from lbproxy import config as settings
from lbproxy.balance.backend import Backend
from lbproxy.errors import StartError
from lbproxy.wire.proxyproto import encode

_DEFAULT_PORTS = {"http": 80, "https": 443}


def greeting(pool: settings.Pool) -> bytes:
    """Where backends want a PROXY header, one that tells of no user (doc/proxy-protocol.txt section 2); else b""."""
    version = pool.send_proxy_protocol
    return b"" if version == "none" else encode(version, None, None)


def greeting_at(pool: settings.Pool, backend: Backend, url: str) -> bytes:
    """The same for a page: a backend waits for a header at its own port only, and a server elsewhere would choke."""
    parts = urlsplit(url)
    place = parts.hostname, parts.port or _DEFAULT_PORTS[parts.scheme]
    return greeting(pool) if place == (backend.host, backend.port) else b""


def contexts(pool: str, tls: settings.PoolTls, needed: Set[bool]) -> dict[bool, ssl.SSLContext]:
    """The `context` of `pool` that verifies, the one that does not, or both. Raises StartError."""
    try:
        return {verify: context(tls, verify) for verify in needed}
    except (OSError, ssl.SSLError) as error:
        raise StartError(f"pool.{pool}.tls: its files cannot be used: {error}") from error


def context(tls: settings.PoolTls, verify: bool) -> ssl.SSLContext:
    """With lbproxy's own certificate, if there is one; with `verify`, a backend needs one that `tls.ca` vouches for.

    Raises OSError or ssl.SSLError when a file cannot be used.
    """
    made = ssl.create_default_context(cafile=tls.ca) if verify else _believing()
    if tls.certificate is not None:
        made.load_cert_chain(tls.certificate, tls.key, password="")  # or OpenSSL would ask on the terminal
    return made


def _believing() -> ssl.SSLContext:
    """Takes every certificate. Made bare: to load the system's authorities takes too long for a running loop."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    return made
