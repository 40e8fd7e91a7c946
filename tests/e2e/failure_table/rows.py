"""The table: what the first backend that is asked does, what the client sees, and what that backend is charged with.

It is written from docs/failure.md, in its order, and not from the code.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus

from ..backend import answer
from .faults import Then, breaks_framing, closes, holds, resets, serves_on, waits, when_seen


class Sees(Enum):
    """What the client gets. After an answer its connection can be used again."""

    NEXT = "the answer of the next backend"
    OWN = "what the first backend answers, as it is"
    BAD_GATEWAY = "lbproxy's 502"
    TIMEOUT = "lbproxy's 504"
    CUT = "the beginning of the answer, and then a reset"
    LEFT = "nothing: it has left"


class Charge(Enum):
    """What is held against the first backend."""

    NOTHING = "nothing"
    PROBE = "nothing, but it is probed at once"
    ERROR = "one error of those that eject when there are consecutive_errors of them"
    EJECTED = "out of rotation at once"


class Connect(Enum):
    """What the first backend does to a new connection."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    IGNORED = "not answered"


class Meanwhile(Enum):
    """What happens while the first backend has the request."""

    NOTHING = "nothing"
    EJECTION = "another user finds that it refuses connections"
    LEAVING = "the client goes away, having seen what there was"


@dataclass(frozen=True)
class Row:
    """`replayable` is for GET or an Idempotency-Key, no token and a body that was kept; `others` is for the rest.

    `said` and `then` are what the first backend does; `reason` is the row of lbproxy's reasons that tells it.
    """

    what: str
    replayable: Sees
    others: Sees
    charge: Charge
    reason: str
    said: bytes = b""
    then: Then = serves_on
    lanes: tuple[str, ...] = ("fresh", "reused")
    connect: Connect = Connect.ACCEPTED
    meanwhile: Meanwhile = Meanwhile.NOTHING


OK = b"HTTP/1.1 200 OK\r\n"
PART = OK + b"Content-Length: 10\r\n\r\n12345"
CHUNK = OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n"
HUGE = OK + b"X: " + b"x" * 200_000
SSH = b"SSH-2.0-OpenSSH\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"


def answers(status: int) -> bytes:
    return answer(b"sorry", status=f"{status} {HTTPStatus(status).phrase}")


NEXT, OWN, CUT, LEFT, _502, _504 = Sees.NEXT, Sees.OWN, Sees.CUT, Sees.LEFT, Sees.BAD_GATEWAY, Sees.TIMEOUT
NOTHING, PROBE, ERROR, EJECTED = Charge.NOTHING, Charge.PROBE, Charge.ERROR, Charge.EJECTED
REFUSED, IGNORED = Connect.REFUSED, Connect.IGNORED
EJECTION, LEAVING = Meanwhile.EJECTION, Meanwhile.LEAVING
FRESH, REUSED = ("fresh",), ("reused",)

# fmt: off
ROWS = [
    #   the first backend ...             replay-
    #                                     able  others  charge  reason                what it says and does
    # Where it had a lane before, that has ended with it, and this is noticed before the request is sent.
    Row("refuses connections",            NEXT, NEXT, EJECTED, "connect_refused",     connect=REFUSED),
    Row("accepts no connection",          NEXT, NEXT, EJECTED, "connect_timeout",     connect=IGNORED),

    Row("closes a reused lane",           NEXT, _502, PROBE,   "lane_stale",          b"", closes, REUSED),
    Row("resets a reused lane",           NEXT, _502, PROBE,   "lane_stale",          b"", resets, REUSED),
    Row("closes a fresh lane",            NEXT, _502, EJECTED, "lane_lost",           b"", closes, FRESH),
    Row("resets a fresh lane",            NEXT, _502, EJECTED, "lane_lost",           b"", resets, FRESH),
    Row("closes inside the head",         NEXT, _502, EJECTED, "response_cut_head",   OK, closes),
    Row("closes inside the body",         CUT,  CUT,  EJECTED, "response_cut_body",   PART, when_seen(closes)),
    Row("resets inside the body",         CUT,  CUT,  EJECTED, "response_cut_body",   PART, when_seen(resets)),
    Row("closes between two chunks",      CUT,  CUT,  EJECTED, "response_cut_body",   CHUNK, when_seen(closes)),

    Row("answers 502",                    OWN,  OWN,  ERROR,   "done",                answers(502)),
    Row("answers 504",                    OWN,  OWN,  ERROR,   "done",                answers(504)),
    Row("answers one of retry_statuses",  NEXT, OWN,  ERROR,   "done",                answers(503)),
    Row("answers 500",                    OWN,  OWN,  NOTHING, "done",                answers(500)),

    Row("answers nothing",                _504, _504, PROBE,   "response_timeout",    b"", holds),

    Row("answers no HTTP",                _502, _502, ERROR,   "response_malformed",  SSH, holds),
    Row("answers with too large a head",  _502, _502, ERROR,   "response_too_large",  HUGE, holds),
    Row("answers 101 unasked",            _502, _502, ERROR,   "response_unasked",    SWITCH, holds),
    Row("sends a malformed chunk",        CUT,  CUT,  ERROR,   "response_bad_body",   CHUNK, when_seen(breaks_framing)),

    Row("is ejected before it answers",   NEXT, OWN,  EJECTED, "connect_refused",     b"", waits, meanwhile=EJECTION),

    Row("is left before it answers",      LEFT, LEFT, NOTHING, "client_gone",         b"", holds, meanwhile=LEAVING),
    Row("is left in its answer",          LEFT, LEFT, NOTHING, "client_gone",         PART, holds, meanwhile=LEAVING),
]
# fmt: on
