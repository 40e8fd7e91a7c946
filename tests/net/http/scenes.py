"""Pieces of dialogues that several tests of the exchange play."""

from __future__ import annotations

from lbproxy import reasons
from lbproxy.net.http.phases import Phase
from lbproxy.reasons import Reason
from tests.net.dialogue import Step, answer, forwarded, head, request

CHUNKED = b"Transfer-Encoding: chunked"
CHUNKS = b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
CLOSE = b"Connection: close"
KEEP = b"Connection: keep-alive"
UPGRADE = (b"Connection: upgrade", b"Upgrade: websocket")
HINTS = head(b"Link: </a>", status=b"103 Early Hints")
SWITCHED = head(*UPGRADE, status=b"101 Switching Protocols")

A_GET: list[Step] = [("C>", request()), (">B", forwarded()), ("B>", answer(b"hello")), (">C", answer(b"hello"))]
SENT: list[Step] = [("C>", request()), (">B", forwarded())]

UPLOAD = request(b"POST /x", b"Content-Length: 10", body=b"hello")
UPLOADED: list[Step] = [("C>", UPLOAD), (">B", forwarded(b"POST /x", b"Content-Length: 10", body=b"hello"))]
PHASES: dict[str, tuple[list[Step], Phase, Reason]] = {
    "before a request": ([], Phase.IDLE, reasons.CLIENT_CLOSED),
    "inside a head": ([("C>", b"GET / HT")], Phase.IDLE, reasons.CLIENT_GONE),
    "while its answer is awaited": (SENT, Phase.SENT, reasons.CLIENT_GONE),
    "while it uploads": (UPLOADED, Phase.SENT, reasons.CLIENT_GONE),
    "inside its answer": (
        [*SENT, ("B>", head(b"Content-Length: 5") + b"he"), (">C", head(b"Content-Length: 5") + b"he")],
        Phase.ANSWERING,
        reasons.CLIENT_GONE,
    ),
    "after an early answer": (
        [*UPLOADED, ("B>", answer(b"early")), (">C", answer(b"early"))],
        Phase.UPLOADING,
        reasons.CLIENT_GONE,
    ),
}


def sent_by_client(steps: list[Step]) -> int:
    """Bytes."""
    return sum(len(data) for who, data in steps if who == "C>")
