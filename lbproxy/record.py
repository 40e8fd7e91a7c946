"""One request, as the access log writes it: the data path makes records, the access log formats them."""

from __future__ import annotations

from typing import NamedTuple


class Record(NamedTuple):
    """One request that has ended, or one connection that was passed through.

    `time` is when it ended, in seconds since the epoch. `client` is address:port. Strings are what was received,
    decoded as latin-1; they never hold an Authorization value or a cookie. `bytes_in` and `bytes_out` are counted on
    the client's side. `user` is the common name of the client certificate. `backend` and `lane` are empty when no
    backend was asked. The milliseconds count from when the head was complete; -1: not reached. `reason` is a label
    of `lbproxy.reasons.TABLE`. `request_id` is empty for connections that were passed through, and if requests are not
    named.

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
