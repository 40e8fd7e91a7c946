"""The table of scenarios: what is asked of every proxy, and in which setting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from bench import heads

_BROWSER_BASIC = heads.BROWSER | {"Authorization": heads.basic()}
_BROWSER_NEGOTIATE = heads.BROWSER | {"Authorization": heads.negotiate()}


class Kind(Enum):
    """How client connections come and go."""

    KEPT = "kept"  # opened once, then a request after the other
    NEW = "new"  # one request a connection, with a full TLS handshake
    RESUMED = "resumed"  # the same, each resuming the session of the one before


@dataclass(frozen=True, slots=True)
class Scenario:
    """One row. `answer` is the size of the answer's body, in bytes; `path` is where the backends have it."""

    name: str
    about: str
    path: str = "/64"
    answer: int = 64
    headers: Mapping[str, str] = field(default_factory=lambda: heads.BROWSER)
    method: str = "GET"
    body: bytes = b""
    kind: Kind = Kind.KEPT
    tls: bool = False
    access_log: bool = False

    @property
    def large_head(self) -> bool:
        """Whether a proxy with 8 KB for a header line has to be told of it."""
        return max(map(len, self.headers.values())) > 4096


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
        Scenario("log", "as browser, access log on", access_log=True),
        Scenario("tls", "as browser, over kept TLS connections", tls=True),
        Scenario("tls-new", "a new TLS connection each, full handshake, P-256", kind=Kind.NEW, tls=True),
        Scenario("tls-resumed", "a new TLS connection each, resumed", kind=Kind.RESUMED, tls=True),
    )
}
