"""The head of an answer to a probe, as it comes."""

from __future__ import annotations

from lbproxy.control.probes.attempt import HungUpError
from lbproxy.reasons import BARE_LF, Reason
from lbproxy.wire.fields import Limits
from lbproxy.wire.headers import RESPONSE_FIELDS
from lbproxy.wire.response_heads import ResponseHead

_SWITCHED = 101  # the only 1xx that is final (RFC 9110 section 15.2.2)

# One for all: it is read in one go. A backend that speaks Kerberos may answer with a large header.
_LIMITS = Limits(max_head=128 * 1024)
_STRICT = ResponseHead(_LIMITS, RESPONSE_FIELDS)
_LENIENT = ResponseHead(_LIMITS, RESPONSE_FIELDS, bare_lf=True)


class NoAnswerError(Exception):
    """There will be no answer; the text says why, in a few words for an administrator."""


class Answer:
    """Read with the parser of users' requests: what they would be refused is not well."""

    __slots__ = ("_data", "_head", "_to_head")

    def __init__(self, to_head: bool, bare_lf: bool = False) -> None:
        """to_head: the request's method is HEAD; bare_lf: lines may end with LF alone, as the pool's key says."""
        self._to_head = to_head
        self._head = _LENIENT if bare_lf else _STRICT
        self._data = b""

    def __repr__(self) -> str:
        return f"<answer, {len(self._data)} bytes of its head>"

    def status(self, more: bytes) -> int | None:
        """The final status, None while its head is incomplete. more: b"" at the end.

        Raises NoAnswerError, or HungUpError when nothing has come at all.
        """
        if not more and not self._data:
            raise HungUpError("closed the connection without an answer")
        if not more:
            raise NoAnswerError("the answer was cut short")
        self._data += more
        head = self._head
        while size := head.read(self._data, self._to_head):
            if isinstance(size, Reason):
                raise NoAnswerError(_complaint(size))
            if head.status >= 200 or head.status == _SWITCHED:
                return head.status
            self._data = self._data[size:]
        return None


def _complaint(rule: Reason) -> str:
    """Why an answer is refused; its bytes have no business on a terminal."""
    if rule is BARE_LF:
        return "the answer has lines that end without CR LF (bare_lf)"
    return "the answer is not HTTP"
