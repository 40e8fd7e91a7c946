"""The unit tests' tables as cases: what is tested for its meaning is timed as well, odd rows included.

A call goes through a whole table.
"""

from __future__ import annotations

from base64 import b64encode

from bench.micro.case import Case
from lbproxy.auth.spnego import classify
from lbproxy.wire.fields import Limits
from lbproxy.wire.headers import RESPONSE_FIELDS, request_fields
from lbproxy.wire.request_heads import Forwarding, RequestHead
from lbproxy.wire.response_heads import ResponseHead
from tests.auth import tokens
from tests.wire import request_heads, response_heads

_FORWARDING = Forwarding(b"https", b"443", b"login.test")


def tables() -> dict[str, Case]:
    """AssertionError when one of them does not do what its test expects."""
    return {
        "the tests' requests: parse and rewrite": _requests(),
        "the tests' bad requests: refuse": _bad_requests(),
        "the tests' responses: parse and rewrite": _responses(),
        "the tests' tokens: classify": _tokens(),
    }


def _requests() -> Case:
    head = RequestHead(Limits(), request_fields())
    rows = list(request_heads.ACCEPTED.values())

    def call() -> list[bytes]:
        written = []
        for raw, _ in rows:
            head.read(raw)
            written.append(head.rewritten(_FORWARDING, b"192.0.2.1"))
        return written

    assert call() == [written for _, written in rows]
    return Case(call, len(rows))


def _bad_requests() -> Case:
    head = RequestHead(Limits(), request_fields(allow_underscores=True))
    rows = list(request_heads.REFUSED.values())

    def call() -> list[object]:
        return [head.read(raw) for raw, _ in rows]

    assert call() == [reason for _, reason in rows]
    return Case(call, len(rows))


def _responses() -> Case:
    head = ResponseHead(Limits(), RESPONSE_FIELDS)
    rows = list(response_heads.ACCEPTED.values())

    def call() -> list[bytes]:
        written = []
        for row in rows:
            head.read(row.raw, row.to_head)
            written.append(head.rewritten(b""))
        return written

    assert call() == [row.written for row in rows]
    return Case(call, len(rows))


def _tokens() -> Case:
    values = [b"Negotiate " + b64encode(token) for token, _ in tokens.MADE.values()]

    def call() -> list[object]:
        return [classify(value) for value in values]

    assert call() == [expected for _, expected in tokens.MADE.values()]
    return Case(call, len(values))
