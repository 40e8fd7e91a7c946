"""Response heads as tables: those that are refused, with the rule they break, and those that are accepted, with their
framing and what is written for the client (RFC 9112 throughout)."""

from __future__ import annotations

from typing import NamedTuple

from lbproxy import reasons
from lbproxy.reasons import Reason
from lbproxy.wire.heads import Framing

CL, TE = b"Content-Length: 5", b"Transfer-Encoding: chunked"


def head(first: bytes, *lines: bytes, end: bytes = b"\r\n") -> bytes:
    """A head of these lines."""
    return b"".join(line + end for line in (first, *lines, b""))


def ok(*lines: bytes) -> bytes:
    return head(b"HTTP/1.1 200 OK", *lines)


_STATUS_LINES = {
    repr(first): (head(first, CL), reasons.RESPONSE_MALFORMED)
    for first in (
        b"http/1.1 200 OK|HTTP/2.0 200 OK|HTTP/1.x 200 OK|HTTP/1./ 200 OK|HTTP/1.: 200 OK|HTTP/1 200 OK|"
        b"HTTP/11 200 OK|ICY 200 OK|H|HTTP/1.1|"
        b"HTTP/1.1 |HTTP/1.1 OK|HTTP/1.1 20|HTTP/1.1 20 OK|HTTP/1.1 2000|HTTP/1.1 2000 OK|HTTP/1.1 +20|HTTP/1.1 2x0 OK|"
        b"HTTP/1.1 099 x|HTTP/1.1 000|HTTP/1.1 600|HTTP/1.1 999|"
        b"HTTP/1.1  200 OK|HTTP/1.1\t200 OK|HTTP/1.1 200\tOK| HTTP/1.1 200 OK|\r\nHTTP/1.1 200 OK|"
        b"HTTP/1.1 200 O\0K|HTTP/1.1 200 O\rK|HTTP/1.1 200 OK\x7f|HTTP/1.1 200 OK\r"
    ).split(b"|")
}
REFUSED: dict[str, tuple[bytes, Reason]] = {
    **_STATUS_LINES,
    "bare LF after the status line": (b"HTTP/1.1 200 OK\nContent-Length: 5\r\n\r\n", reasons.BARE_LF),
    "bare LF everywhere": (head(b"HTTP/1.1 200 OK", CL, end=b"\n"), reasons.BARE_LF),
    "bare CR in a value": (ok(b"X-A: 1\rX-B: 2"), reasons.BAD_FIELD_VALUE),
    "NUL in a value": (ok(b"X-A: \0"), reasons.BAD_FIELD_VALUE),
    "folded": (ok(b"X-A: 1", b" 2"), reasons.OBS_FOLD),
    "space before a colon": (ok(b"X-A : 1"), reasons.BAD_FIELD_NAME),
    "no colon": (ok(b"X-A"), reasons.BAD_FIELD_NAME),
    "CL, TE": (ok(CL, TE), reasons.LENGTH_AND_CHUNKED),
    "TE, CL": (ok(TE, CL), reasons.LENGTH_AND_CHUNKED),
    "CL, TE where there is no body": (head(b"HTTP/1.1 304 x", CL, TE), reasons.LENGTH_AND_CHUNKED),
    "two Content-Lengths": (ok(CL, CL), reasons.BAD_LENGTH),
    "Content-Length list": (ok(b"Content-Length: 5, 5"), reasons.BAD_LENGTH),
    "Content-Length +5": (ok(b"Content-Length: +5"), reasons.BAD_LENGTH),
    "Content-Length 05x": (ok(b"Content-Length: 05x"), reasons.BAD_LENGTH),
    "Content-Length in a 204": (head(b"HTTP/1.1 204 x", b"Content-Length: x"), reasons.BAD_LENGTH),
    "gzip": (ok(b"Transfer-Encoding: gzip, chunked"), reasons.BAD_TRANSFER_ENCODING),
    "chunked in 1.0": (head(b"HTTP/1.0 200 OK", TE), reasons.BAD_TRANSFER_ENCODING),
    "Connection with a quote": (ok(b'Connection: "close"'), reasons.BAD_FIELD_VALUE),
    "101 without a protocol": (head(b"HTTP/1.1 101 x", b"Connection: upgrade"), reasons.RESPONSE_MALFORMED),
    "101 to h2c": (head(b"HTTP/1.1 101 x", b"Connection: upgrade", b"Upgrade: h2c"), reasons.RESPONSE_MALFORMED),
    "101 without Connection": (head(b"HTTP/1.1 101 x", b"Upgrade: websocket"), reasons.RESPONSE_MALFORMED),
}
"""name: (a head, why it is refused)"""


class Accepted(NamedTuple):
    """length counts for BY_LENGTH only."""

    raw: bytes
    framing: Framing
    written: bytes
    keeps_alive: bool = True
    to_head: bool = False
    length: int = 5


def _same(framing: Framing, first: bytes, *lines: bytes, keeps_alive: bool = True, to_head: bool = False) -> Accepted:
    raw = head(first, *lines)
    return Accepted(raw, framing, raw, keeps_alive, to_head)


NO_BODY, BY_LENGTH, CHUNKED, UNTIL_CLOSE = Framing.NO_BODY, Framing.BY_LENGTH, Framing.CHUNKED, Framing.UNTIL_CLOSE
OK = b"HTTP/1.1 200 OK"

ACCEPTED: dict[str, Accepted] = {
    "length": _same(BY_LENGTH, OK, b"x-b: 2", b"X-A: 1", CL, b"Set-Cookie: a=b", b"set-cookie: c=d"),
    "no length": _same(UNTIL_CLOSE, OK, keeps_alive=False),
    "chunked": Accepted(ok(b"transfer-encoding:CHUNKED ", b"A: 1"), CHUNKED, ok(b"A: 1", TE)),
    "close": Accepted(ok(CL, b"Connection: Close"), BY_LENGTH, ok(CL), keeps_alive=False),
    "1.0": Accepted(head(b"HTTP/1.0 200 OK", CL), BY_LENGTH, ok(CL), keeps_alive=False),
    "1.0, kept": Accepted(head(b"HTTP/1.0 200 OK", CL, b"Connection: keep-alive"), BY_LENGTH, ok(CL)),
    "1.2": Accepted(head(b"HTTP/1.2 200 OK", CL), BY_LENGTH, ok(CL)),
    "chunked in 1.9": Accepted(head(b"HTTP/1.9 200 OK", TE), CHUNKED, ok(TE)),
    "length with zeros": Accepted(ok(b"Content-Length: 0005"), BY_LENGTH, ok(CL)),
    "1.0, kept, no length": Accepted(
        head(b"HTTP/1.0 200 OK", b"Connection: keep-alive"), UNTIL_CLOSE, ok(), keeps_alive=False
    ),
    "empty reason": _same(BY_LENGTH, b"HTTP/1.1 200 ", CL),
    "no space after the status": Accepted(head(b"HTTP/1.1 200", CL), BY_LENGTH, head(b"HTTP/1.1 200 ", CL)),
    "odd reason": _same(BY_LENGTH, b"HTTP/1.1 599  Tr\xe8s\tbien (sic) ", CL),
    "204": _same(NO_BODY, b"HTTP/1.1 204 No Content"),
    "204 with a length": Accepted(head(b"HTTP/1.1 204 x", CL), NO_BODY, head(b"HTTP/1.1 204 x")),
    "204 and chunked": Accepted(head(b"HTTP/1.1 204 x", TE), NO_BODY, head(b"HTTP/1.1 204 x")),
    "304 with a length": _same(NO_BODY, b"HTTP/1.1 304 Not Modified", CL, b"ETag: x"),
    "304 and chunked": Accepted(head(b"HTTP/1.1 304 x", TE), NO_BODY, head(b"HTTP/1.1 304 x")),
    "to HEAD with a length": _same(NO_BODY, OK, CL, to_head=True),
    "to HEAD without a length": _same(NO_BODY, OK, to_head=True),
    "to HEAD, chunked": Accepted(ok(TE), NO_BODY, ok(), to_head=True),
    "100": _same(NO_BODY, b"HTTP/1.1 100 Continue"),
    "103": _same(NO_BODY, b"HTTP/1.1 103 Early Hints", b"Link: </x>; rel=preload"),
    "1xx with a length": Accepted(head(b"HTTP/1.1 102 x", CL), NO_BODY, head(b"HTTP/1.1 102 x")),
    "1xx and chunked": Accepted(head(b"HTTP/1.1 199 x", TE), NO_BODY, head(b"HTTP/1.1 199 x")),
    "101": Accepted(
        head(b"HTTP/1.1 101 x", b"Upgrade: WebSocket", b"Connection: keep-alive, Upgrade", b"A: 1"),
        NO_BODY,
        head(b"HTTP/1.1 101 x", b"A: 1", b"Connection: upgrade", b"Upgrade: websocket"),
    ),
    "hop by hop": Accepted(
        ok(CL, b"Keep-Alive: 5", b"Proxy-Connection: x", b"Connection: keep-alive, X-A", b"x-a: 1", b"Upgrade: h2c"),
        BY_LENGTH,
        ok(CL),
    ),
    "what nobody nominates away": Accepted(
        ok(CL, b"Connection: content-length, www-authenticate, location", b"WWW-Authenticate: Basic", b"Location: /"),
        BY_LENGTH,
        ok(CL, b"WWW-Authenticate: Basic", b"Location: /"),
    ),
    "challenges": _same(BY_LENGTH, b"HTTP/1.1 401 x", CL, b"WWW-Authenticate: Negotiate", b"www-authenticate: NTLM"),
    "names with _": Accepted(ok(CL, b"x_a: 1", b"Content_Length: 6"), BY_LENGTH, ok(CL, b"x_a: 1")),
}
"""name: a head that is accepted, and what becomes of it"""

CHALLENGES = {
    b"Negotiate": True,
    b"nEGOTIATE oYG2MIGz==": True,
    b'Basic realm="x", NTLM': True,
    b"NTLM TlRMTVNTUAAC": True,
    b"Basic": False,
    b"Bearer": False,
    b"": False,
    b"NTL": False,
    b"Negotiat e": False,
}
"""value of a WWW-Authenticate line: whether it asks for the authentication of the connection"""

BARE_LF = {
    "everywhere": (head(b"HTTP/1.1 200 OK", CL, b"A: 1", end=b"\n"), ok(CL, b"A: 1")),
    "after the status line": (b"HTTP/1.0 200\nContent-Length: 5\r\n\r\n", head(b"HTTP/1.1 200 ", CL)),
    "after a header line": (ok(CL + b"\nA: 1", b"B: 2"), ok(CL, b"A: 1", b"B: 2")),
    "at the end": (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\n", ok(CL)),
    "in a location": (ok(b"Location: /x \nA:1"), ok(b"Location: /x", b"A: 1")),
}
"""name: (a head that is accepted when lines may end with LF alone, what is written of it)"""

NEVER = {
    **{name: row for name, row in REFUSED.items() if row[1] is not reasons.BARE_LF},
    "CR CR LF": (ok(b"X-A: 1\r"), reasons.BAD_FIELD_VALUE),
    "CR and LF in a value": (ok(b"X-A: 1\rX-B: 2\nX-C: 3"), reasons.BAD_FIELD_VALUE),
    "CR alone": (b"HTTP/1.1 200 OK\rA: 1\n\n", reasons.RESPONSE_MALFORMED),
    "folded with LF": (ok(b"X-A: 1\n 2"), reasons.OBS_FOLD),
    "no colon before LF": (ok(b"X-A\nB: 2"), reasons.BAD_FIELD_NAME),
    "LF first": (b"\n" + ok(CL), reasons.RESPONSE_MALFORMED),
    "CL, LF, TE": (ok(CL + b"\n" + TE), reasons.LENGTH_AND_CHUNKED),
}
"""name: (a head that is refused even then, why)"""
