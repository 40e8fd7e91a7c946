"""The table of cases: a name, and a call whose result is checked before it is timed.

Heads go through the Python door of `wire.request_heads` and its neighbours, which copies what it returns; the data path
calls the same code from Cython, on its own buffers, and saves the copies.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from bench import heads
from bench.micro.case import Case
from bench.micro.tables import tables
from lbproxy.auth.spnego import Credential, classify
from lbproxy.balance.backend import Backend
from lbproxy.balance.health import Rules
from lbproxy.balance.pool import Pool
from lbproxy.control.access_log.access_line import line
from lbproxy.wire.fields import Limits
from lbproxy.wire.headers import RESPONSE_FIELDS, request_fields
from lbproxy.wire.request_heads import Forwarding, RequestHead
from lbproxy.wire.response_heads import ResponseHead
from tests.control.sample import made

_FORWARDING = Forwarding(b"https", b"443", heads.HOST.encode())
_ANSWER = b"HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Mon, 06 Jan 2025 10:00:00 GMT\r\nContent-Type: text/html\r\n"
_ANSWER += b"Content-Length: 64\r\nConnection: keep-alive\r\nCache-Control: no-cache\r\n\r\n"


def cases() -> dict[str, Case]:
    """Every case by its name. AssertionError when one does not do what is meant to be timed."""
    basic, negotiate = heads.basic(), heads.negotiate()
    with_token = heads.BROWSER | {"Authorization": negotiate}
    return {
        "parse browser head": _parse(heads.BROWSER),
        "parse and rewrite browser head": _rewrite(heads.BROWSER),
        "parse 9 KB head": _parse(with_token),
        "parse and rewrite 9 KB head": _rewrite(with_token),
        "parse and rewrite response head": _answer(),
        "classify Basic, 9 KB": _classify(basic, Credential.PER_REQUEST),
        "classify Kerberos, 9 KB": _classify(negotiate, Credential.KERBEROS),
        "classify NTLM": _classify("NTLM TlRMTVNTUAABAAAAl4II4gAAAAAAAAAAAAAAAAAAAAA=", Credential.NTLM),
        "pick of 3": _pick(3),
        "pick of 1,000": _pick(1000),
        "access-log line": _line(),
        **tables(),
    }


def _parse(headers: Mapping[str, str]) -> Case:
    data, request = heads.head(headers), RequestHead(Limits(), request_fields())
    assert request.read(data) == len(data)
    return Case(partial(request.read, data))


def _rewrite(headers: Mapping[str, str]) -> Case:
    data, request = heads.head(headers), RequestHead(Limits(), request_fields())

    def call() -> bytes:
        request.read(data)
        return request.rewritten(_FORWARDING, b"192.0.2.17", False)

    assert b"\r\nX-Forwarded-For: 192.0.2.17\r\n" in call()
    return Case(call)


def _answer() -> Case:
    response = ResponseHead(Limits(), RESPONSE_FIELDS)

    def call() -> bytes:
        response.read(_ANSWER)
        return response.rewritten(b"")

    assert b"\r\nContent-Length: 64\r\n" in call()
    return Case(call)


def _classify(value: str, expected: Credential) -> Case:
    data = value.encode()
    assert classify(data) is expected
    return Case(partial(classify, data))


def _pick(count: int) -> Case:
    pool = Pool("bench", [Backend(f"b{n}", f"http://127.0.0.1:{n + 1}") for n in range(count)], Rules())
    for backend in pool.backends:
        pool.probed(backend, True, "", 0.0)
    assert {pool.pick() for _ in range(count)} == set(pool.backends)
    return Case(pool.pick)


def _line() -> Case:
    record = made(user_agent=heads.BROWSER["User-Agent"])
    assert '"reason":"done"' in line(record)
    return Case(partial(line, record))
