"""The head of an answer to a probe, as it comes."""

from __future__ import annotations

from lbproxy.reasons import Reason
from lbproxy.wire.headers import RESPONSE_FIELDS
from lbproxy.wire.http1 import Limits, ResponseHead

_SWITCHED = 101  # the only 1xx that is final (RFC 9110 section 15.2.2)

# One for all: it is read in one go. A backend that speaks Kerberos may answer with a large header.
_HEAD = ResponseHead(Limits(max_head=128 * 1024), RESPONSE_FIELDS)


class NoAnswerError(Exception):
    """There will be no answer; the text says why, in a few words for an administrator."""


class Answer:
    """Read with the parser of users' requests: what they would be refused is not well."""

    __slots__ = ("_data", "_to_head")

    def __init__(self, to_head: bool) -> None:
        """to_head: the request's method is HEAD."""
        self._to_head = to_head
        self._data = b""

    def __repr__(self) -> str:
        return f"<answer, {len(self._data)} bytes of its head>"

    def status(self, more: bytes) -> int | None:
        """The final status, None while its head is incomplete. more: b"" at the end. Raises NoAnswerError."""
        if not more:
            raise NoAnswerError("the answer was cut short" if self._data else "closed the connection without an answer")
        self._data += more
        while size := _HEAD.read(self._data, self._to_head):
            if isinstance(size, Reason):
                raise NoAnswerError("the answer is not HTTP")  # its bytes have no business on a terminal
            if _HEAD.status >= 200 or _HEAD.status == _SWITCHED:
                return _HEAD.status
            self._data = self._data[size:]
        return None
