"""The table of scenarios: what is asked of every proxy, and in which setting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from bench import heads

_BROWSER_BASIC = heads.BROWSER | {"Authorization": heads.basic()}
_BROWSER_NEGOTIATE = heads.BROWSER | {"Authorization": heads.negotiate()}


BASE = "browser"
"""The scenario that others are a variation of."""


class Kind(Enum):
    """How client connections come and go."""

    KEPT = "kept"  # opened once, then a request after the other
    NEW = "new"  # one request a connection, with a full TLS handshake
    RESUMED = "resumed"  # the same, each resuming the session of the one before


@dataclass(frozen=True, slots=True)
class Scenario:
    """One row. `answer` is the size of the answer's body, in bytes; `path` is where the backends have it.

    `connections` ask, as many as the plan says unless it is given, and `idle` others are open and say nothing.
    """

    name: str
    about: str
    path: str = "/64"
    answer: int = 64
    headers: Mapping[str, str] = field(default_factory=lambda: heads.BROWSER)
    method: str = "GET"
    body: bytes = b""
    kind: Kind = Kind.KEPT
    tls: bool = False
    client_certificate: bool = False
    minted: bool = False  # lbproxy shows each user to the backend by a minted certificate; the others pass requests on
    tokens: bool = False  # a Kerberos token of each user's own: with each request, or the one with which a login begins
    challenged: bool = False  # each login asks without a token first and is answered 401, and ends with two requests
    tcp: bool = False  # connections are passed on, not requests
    access_log: bool = False
    connections: int | None = None
    idle: int = 0
    beside: int = 0  # small requests a second on new connections, and as many on kept ones, beside the load (beside.py)
    backends: int = 3
    workers: int = 1
    beside_base: bool = (
        False  # lbproxy is measured in BASE as well, in the same rounds: what it has more of must be cheap
    )

    @property
    def large_head(self) -> bool:
        """Whether a proxy with 8 KB for a header line has to be told of it."""
        return self.tokens or max(map(len, self.headers.values())) > 4096


def _busy(name: str, about: str, tls: bool = False, tcp: bool = False, workers: int = 1) -> Scenario:
    return Scenario(name, about, "/1m", 1024 * 1024, tls=tls, tcp=tcp, workers=workers, connections=400, beside=200)


TABLE = {
    row.name: row
    for row in (
        Scenario("small", "kept connections, a head of one line", headers=heads.SMALL),
        Scenario("browser", "kept connections, a browser's 12 headers"),
        Scenario("basic-9k", "a browser's head and 9 KB of Basic", headers=_BROWSER_BASIC),
        Scenario("negotiate-9k", "a browser's head and a fresh Kerberos token of 9 KB", headers=_BROWSER_NEGOTIATE),
        Scenario("post-4k", "a POST of 4 KB", method="POST", body=b"p" * 4096),
        Scenario("body-64k", "answers of 64 KB", "/64k", 64 * 1024),
        Scenario("body-1m", "answers of 1 MB", "/1m", 1024 * 1024),
        Scenario("chunked", "answers of 64 KB in chunks", "/64k-chunked", 64 * 1024),
        Scenario("tcp-1m", "connections passed on as they are, answers of 1 MB", "/1m", 1024 * 1024, tcp=True),
        Scenario("log", "as browser, access log on", access_log=True),
        Scenario("tls", "as browser, over kept TLS connections", tls=True),
        Scenario("tls-new", "a new TLS connection each, full handshake, P-256", kind=Kind.NEW, tls=True),
        Scenario("tls-resumed", "a new TLS connection each, resumed", kind=Kind.RESUMED, tls=True),
        Scenario(
            "tls-client", "as tls-new, with a client certificate", kind=Kind.NEW, tls=True, client_certificate=True
        ),
        Scenario(
            "minted",
            "as tls-client; lbproxy has TLS to the backends as well, with a certificate for the user",
            kind=Kind.NEW,
            tls=True,
            client_certificate=True,
            minted=True,
        ),
        Scenario(
            "login", "a new TLS connection each, with a 9 KB token of its own", kind=Kind.NEW, tls=True, tokens=True
        ),
        Scenario(
            "login-401",
            "a new TLS connection each: 401, a token of its own, two requests; a login is one",
            kind=Kind.NEW,
            tls=True,
            tokens=True,
            challenged=True,
        ),
        Scenario("tokens", "kept connections, a 9 KB token of its own in each request", tokens=True),
        Scenario("tokens-tls", "the same, over kept TLS connections", tls=True, tokens=True),
        Scenario("connections-1", "as browser, one connection", connections=1),
        Scenario("connections-1000", "as browser, 1,000 connections", connections=1_000),
        Scenario("idle-10000", "as browser, 64 of 10,064 connections ask", idle=10_000, beside_base=True),
        Scenario("backends-100", "as browser, 100 backends", backends=100, beside_base=True),
        Scenario("backends-1000", "as browser, 1,000 backends", backends=1_000, beside_base=True),
        Scenario("workers-2", "as browser, two workers on the one core", workers=2),
        _busy(
            "busy", "beside 400 transfers of 1 MB, 200 new connections a second and as many kept ones ask for little"
        ),
        _busy("busy-tls", "the same, all of it over TLS", tls=True),
        _busy("busy-tcp", "the same, connections passed on as they are", tcp=True),
        _busy("busy-workers-2", "as busy, two workers on the one core", workers=2),
    )
}
