"""What operators may ask of the client connections that are open now, and what they are told."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypedDict

Phase = Literal["hello", "idle", "waiting", "sent", "answering", "uploading", "tunnel", "closing"]
"""What a connection waits for: its ClientHello, a request, a lane, an answer, the rest of it, the rest of a request,
either end of a tunnel, or nothing more."""

WAITS_FOR: dict[Phase, str] = {
    "hello": "its ClientHello",
    "idle": "a request",
    "waiting": "a connection to a backend",
    "sent": "the answer",
    "answering": "the rest of the answer",
    "uploading": "the rest of the request",
    "tunnel": "bytes, of either side",
    "closing": "its end",
}
"""What a connection waits for in each phase, in words."""

DEFAULT_LIMIT = 200
MAX_LIMIT = 10_000


SLICE = 200
"""Connections of one turn of the loop, which serves users too: they are found or encoded in about a millisecond."""


class ConnectionQuery(NamedTuple):
    """Which connections; empty: any. backend: NAME or POOL/NAME, of a lane that it has now.

    user: a part of the subject of the certificate, in any case. address: one, or a network. newest: those come
    first, else those that have been open for longest.
    """

    pool: str = ""
    backend: str = ""
    user: str = ""
    address: str = ""
    limit: int = DEFAULT_LIMIT
    newest: bool = False


class LaneView(TypedDict):
    """A connection to a backend that a client connection has: how many requests it has served, of any client."""

    backend: str
    private: bool
    requests: int


class ConnectionView(TypedDict):
    """One client connection. `id` is good until it ends, and is never that of another one.

    `user` is the subject of the client's certificate, empty without one: a Kerberos ticket is sealed. `busy_seconds` is
    for how long its current request has been under way, None while there is none. Bytes are those of the client's side.
    """

    id: str
    listener: str
    pool: str
    address: str
    user: str
    age_seconds: float
    phase: Phase
    busy_seconds: float | None
    requests: int
    bytes_in: int
    bytes_out: int
    lanes: list[LaneView]


class ConnectionsView(TypedDict):
    """Those that were asked for, up to the limit. `matched` is how many there are; `open` are all, of any client.

    `handshakes` are open too, and have not begun yet: their TLS handshake, or their PROXY header, is awaited.
    `unanswered` is how many workers have not answered in time: theirs are missing.
    """

    open: int
    handshakes: int
    matched: int
    unanswered: int
    connections: list[ConnectionView]


NO_CONNECTIONS: ConnectionsView = {"open": 0, "handshakes": 0, "matched": 0, "unanswered": 0, "connections": []}


def merged(found: list[ConnectionsView], query: ConnectionQuery, unanswered: int = 0) -> ConnectionsView:
    """What several processes have found, as if it were one."""
    connections = sorted(
        (one for view in found for one in view["connections"]),
        key=lambda one: one["age_seconds"],
        reverse=not query.newest,
    )
    return {
        "open": sum(view["open"] for view in found),
        "handshakes": sum(view["handshakes"] for view in found),
        "matched": sum(view["matched"] for view in found),
        "unanswered": unanswered,
        "connections": connections[: query.limit],
    }
