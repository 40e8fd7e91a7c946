"""One request, as the access log writes it and as a trace shows it: the data path makes them, `control` formats."""

from __future__ import annotations

from typing import NamedTuple


class Record(NamedTuple):
    """One request that has ended, or one connection that was passed through.

    `time` is when it ended, in seconds since the epoch. `client` is address:port. Strings are what was received,
    decoded as latin-1; they never hold an Authorization value or a cookie. `bytes_in` and `bytes_out` are counted on
    the client's side. `user` is the common name of the client certificate. `backend` and `lane` are empty when no
    backend was asked. The milliseconds count from when the head was complete; -1: not reached. `reason` is a label
    of `lbproxy.reasons.TABLE`. `request_id` and `trace_id` are empty for connections that were passed through, and if
    requests are not named, or lbproxy takes no part in traces.

    The compiled formatter (`control.access_log.access_line`) reads the fields by their position.
    """

    time: float
    listener: str
    client: str
    method: str
    target: str
    host: str
    protocol: str
    status: int
    bytes_in: int
    bytes_out: int
    user_agent: str
    user: str
    backend: str
    lane: str
    reused: bool
    tries: int
    connect_ms: float
    first_byte_ms: float
    total_ms: float
    reason: str
    request_id: str
    trace_id: str


class Exemplar(NamedTuple):
    """A request that a time of a histogram is of, and when it was answered: seconds since the epoch.

    `trace_id` is empty, if no trace of it is recorded; `request_id`, if requests are not named.
    """

    seconds: float
    at: float
    request_id: str
    trace_id: str


class Attempt(NamedTuple):
    """A backend that a request was not answered by: why, and until when it was tried, in seconds since the epoch."""

    backend: str
    reason: str
    until: float


class Trace(NamedTuple):
    """One request that was sampled, with when it got how far: seconds since the epoch, 0: not so far.

    Ids are hexadecimal; `parent_id` is empty if no client has begun the trace. There is no query in `path`. `attempts`
    are those before the last one, which was on `backend`. `opened`, `connected` and `ready` are its lane's, if that was
    opened for this request; `connected` is the same as `ready` without TLS. `reason` is a label of `reasons.TABLE`.
    """

    trace_id: str
    span_id: str
    parent_id: str
    request_id: str
    listener: str
    pool: str
    scheme: str
    method: str
    path: str
    host: str
    protocol: str
    status: int
    bytes_in: int
    bytes_out: int
    backend: str
    lane: str
    tries: int
    reason: str
    started: float
    opened: float
    connected: float
    ready: float
    sent: float
    first_byte: float
    ended: float
    attempts: list[Attempt]
