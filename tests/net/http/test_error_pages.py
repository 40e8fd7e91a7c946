from __future__ import annotations

import pytest

from lbproxy import reasons
from lbproxy.net.http.error_pages import Named, answer
from lbproxy.reasons import TABLE, Reason
from lbproxy.wire.fields import Limits
from lbproxy.wire.headers import RESPONSE_FIELDS
from lbproxy.wire.heads import Framing
from lbproxy.wire.response_heads import ResponseHead

ANSWERED = [row for row in TABLE.values() if row.status not in (0, 499)]


@pytest.mark.parametrize("reason", ANSWERED, ids=lambda reason: reason.label)
@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("named", [Named(b"", b""), Named(b"X-Request-ID", b"a1"), Named(b"X-Id", b"a" * 32)])
def test_every_answer_is_whole(reason: Reason, keep: bool, named: Named) -> None:
    data = answer(reason, keep, False, 2, named)
    head = ResponseHead(Limits(), RESPONSE_FIELDS)
    size = head.read(data)
    assert isinstance(size, int)
    assert (head.status, head.framing, head.length) == (reason.status, Framing.BY_LENGTH, len(data) - size)
    lines = {name.lower(): value for name, value, _ in head.fields()}
    assert lines[b"connection"] == (b"keep-alive" if keep else b"close")
    assert lines[b"cache-control"] == b"no-store"
    assert lines[b"content-type"] == b"text/plain; charset=utf-8"
    assert data[size:].startswith(b"%d " % reason.status)
    assert lines.get(named.header.lower(), b"") == named.request_id
    assert (b"request id: %b\n" % named.request_id in data[size:]) == bool(named.request_id)
    assert answer(reason, keep, True, 2, named) == data[:size], "HEAD gets the same head, and no body"


def test_names_the_reason() -> None:
    for reason in ANSWERED:
        named = f"\nreason: {reason.label}\n".encode() in answer(reason, True, False, 2)
        assert named == (reason is not reasons.DENIED_PATH)


def test_says_which_key_was_in_the_way() -> None:
    assert answer(reasons.HEAD_TOO_LARGE, False, False, 2).endswith(
        b"431 Request Header Fields Too Large\nthe head is larger than max_header_size\n\nreason: head_too_large\n"
    )


def test_says_nothing_of_the_backends() -> None:
    for reason in ANSWERED:
        if reason.status >= 500 and reason is not reasons.BAD_VERSION:
            assert reason.text.encode() not in answer(reason, True, False, 2)


def test_does_not_say_that_a_denied_path_is_there() -> None:
    assert answer(reasons.DENIED_PATH, True, False, 2).endswith(b"\r\n\r\n404 Not Found\n")


def test_unavailable_says_when_to_come_back() -> None:
    assert b"\r\nRetry-After: 7\r\n" in answer(reasons.NO_BACKEND, True, False, 7)
    assert b"Retry-After" not in answer(reasons.LANE_LOST, True, False, 7)


def test_a_refused_method_names_those_that_are_served() -> None:
    assert b"\r\nAllow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n" in answer(
        reasons.METHOD_REFUSED, False, False, 2
    )
