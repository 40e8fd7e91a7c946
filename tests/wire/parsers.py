"""The parsers as tests use them, and what holds for every message that is read piece by piece."""

from __future__ import annotations

from itertools import pairwise

from lbproxy.reasons import Reason
from lbproxy.wire.fields import Field, Limits
from lbproxy.wire.headers import RESPONSE_FIELDS, request_fields
from lbproxy.wire.request_heads import Forwarding, RequestHead
from lbproxy.wire.response_heads import ResponseHead

CLIENT = b"192.0.2.1"
FORWARDING = Forwarding(b"https", b"443", b"login.test")


def request_head(
    max_head: int = 131072, max_target: int = 16384, max_lines: int = 256, underscores: bool = False
) -> RequestHead:
    return RequestHead(Limits(max_head, max_target, max_lines), request_fields(allow_underscores=underscores))


def response_head(max_head: int = 131072, bare_lf: bool = False) -> ResponseHead:
    return ResponseHead(Limits(max_head), RESPONSE_FIELDS, bare_lf)


def grows_to_one_result(head: RequestHead | ResponseHead, raw: bytes) -> None:
    """0 until it is complete, then its size; or 0 until it is refused, for one reason."""
    results = [head.read(raw[:size]) for size in range(len(raw) + 1)]
    assert results[0] == 0
    for before, after in pairwise(results):
        assert before in (0, after)
    assert isinstance(results[-1], Reason) or results[-1] <= len(raw)


_PASSED = (Field.OTHER, Field.AUTHORIZATION, Field.USER_AGENT)


def understood(head: RequestHead) -> tuple[object, ...]:
    """What a request means, Host, hop by hop and forwarded lines aside."""
    method, target = head.line()
    if target.startswith(b"?"):  # of an absolute-form target
        target = b"/" + target
    passed = [(name, value) for name, value, field in head.fields() if field in _PASSED]
    return method, target, head.framing, head.length, passed
