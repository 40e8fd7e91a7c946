"""lbproxy's own answers: short, plain, and naming the rule or the key that was in the way."""

from __future__ import annotations

from functools import cache
from http import HTTPStatus
from typing import NamedTuple

from lbproxy.reasons import DENIED_PATH, Reason

_EXTRA = {
    405: b"Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n",
}


class Named(NamedTuple):
    """The id of the request that is answered, and the name of the header that has it."""

    header: bytes
    request_id: bytes


NAMELESS = Named(b"", b"")
"""Of an answer to no request, or where requests have no id."""


def answer(reason: Reason, keep: bool, head_only: bool, retry_after: int, named: Named = NAMELESS) -> bytes:
    """A whole response for a request that ended by `reason`.

    keep: the client connection stays open; head_only: the request was a HEAD (RFC 9110 section 9.3.2);
    retry_after: seconds until a probe may have brought a backend back, sent with a 503 (section 10.2.3).
    """
    header, request_id = named
    head, body = _parts(reason, keep, retry_after, len(request_id))
    if request_id:
        head += b"%b: %b\r\n" % (header, request_id)
        body += b"request id: %b\n" % request_id
    return head + b"\r\n" if head_only else head + b"\r\n" + body


_LINE = len("request id: \n")


@cache
def _parts(reason: Reason, keep: bool, retry_after: int, id_size: int) -> tuple[bytes, bytes]:
    """The head without its end, and the body, both without the id; `id_size`: how long that is."""
    status = HTTPStatus(reason.status)
    body = f"{status.value} {status.phrase}\n{_explanation(reason)}".encode()
    if reason is not DENIED_PATH:
        body += f"\nreason: {reason.label}\n".encode()
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body) + (_LINE + id_size if id_size else 0)}\r\n"
        "Cache-Control: no-store\r\n"
    ).encode()
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        head += b"Retry-After: %d\r\n" % retry_after
    head += _EXTRA.get(status, b"")
    return head + (b"Connection: keep-alive\r\n" if keep else b"Connection: close\r\n"), body


def _explanation(reason: Reason) -> str:
    """What a client may know: not what the backends do, nor that a path is there but denied. The log has that."""
    if reason.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return "The service cannot answer at the moment.\n"
    return "" if reason is DENIED_PATH else f"{reason.text}\n"
