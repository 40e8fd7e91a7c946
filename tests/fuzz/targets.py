"""What must hold for any bytes whatever: no error but the declared ones, one meaning however the bytes are cut, and one
meaning for lbproxy, for another parser (h11) and for the backend that gets what lbproxy writes.

The first byte of an input chooses among a parser's options, the second where the rest is cut in two.
"""

from __future__ import annotations

import base64
from collections.abc import Callable

from lbproxy.auth import gss_token, spnego
from lbproxy.reasons import Reason
from lbproxy.wire import clienthello, paths, proxyproto, trace_context
from lbproxy.wire.headers import request_trailers
from lbproxy.wire.heads import Framing
from lbproxy.wire.path_list import listed
from lbproxy.wire.request_heads import RequestHead
from lbproxy.wire.response_heads import ResponseHead
from tests.wire.bodies import fed
from tests.wire.h11_peer import (
    CHUNKED_POST,
    as_client,
    as_server,
    has_long_number,
    lines_of,
    plain,
    sent_after,
    without_empty_lines,
)
from tests.wire.parsers import CLIENT, FORWARDING, request_head, response_head, understood

TRAILERS = request_trailers(["X-Mine"])
DENIED = (b"/", b"/a", b"/a/b")


def options(data: bytes) -> tuple[int, bytes, int]:
    """The options that an input chooses, its rest, and where that is cut."""
    rest = data[2:]
    return data[0] if data else 0, rest, (data[1] * (len(rest) + 1) >> 8) if len(data) > 1 else 0


def request(data: bytes) -> None:
    chosen, raw, cut = options(data)
    underscores, trusted = bool(chosen & 1), bool(chosen & 2)
    head = request_head(max_lines=32, underscores=underscores)
    size = _read_in_two(head, raw, cut)
    if not isinstance(size, int) or size == 0:
        return
    _writes_what_it_read(head, trusted, underscores)
    if not underscores and not has_long_number(raw):
        _h11_takes_the_request(head, raw[:size])


def _writes_what_it_read(head: RequestHead, trusted: bool, underscores: bool) -> None:
    written = head.rewritten(FORWARDING, CLIENT, trusted)
    again = request_head(underscores=underscores)
    assert again.read(written) == len(written), written
    assert again.minor == 1
    assert understood(again) == understood(head), written
    if not trusted:
        assert again.rewritten(FORWARDING, CLIENT) == written


def _h11_takes_the_request(head: RequestHead, raw: bytes) -> None:
    body, data, following = sent_after(head)
    for sent in (without_empty_lines(raw), head.rewritten(FORWARDING, CLIENT)):
        received = as_server(sent + body + following)
        assert (received.data, received.done, received.rest) == (data, bool(following), following), sent
    assert plain(as_server(without_empty_lines(raw) + body).headers) == lines_of(head)


def response(data: bytes) -> None:
    chosen, raw, cut = options(data)
    to_head, bare_lf = bool(chosen & 1), bool(chosen & 2)
    head = response_head(bare_lf=bare_lf)
    size = _read_in_two(head, raw, cut, to_head)
    if not isinstance(size, int) or size == 0:
        return
    written = head.rewritten(b"")
    again = response_head()
    assert again.read(written, to_head) == len(written), written
    assert (again.status, again.framing) == (head.status, head.framing), written
    assert again.rewritten(b"") == written
    if head.status != 101 and not has_long_number(raw):
        _h11_takes_the_response(head, [written] if bare_lf else [raw[:size], written], to_head)


def _h11_takes_the_response(head: ResponseHead, sendings: list[bytes], to_head: bool) -> None:
    body, data, following = sent_after(head)
    if head.framing == Framing.UNTIL_CLOSE:
        body = data = b"NEXT"
        following = b""
    for sent in sendings:
        received = as_client(sent + body + following, b"HEAD" if to_head else b"GET")
        assert received.first == (b"%d" % head.status,)
        assert (received.data, received.done, received.rest) == (data, bool(following), following), sent


def _read_in_two(head: RequestHead | ResponseHead, raw: bytes, cut: int, to_head: bool = False) -> int | Reason:
    """What is read of the whole, which is what was read of a part if that was enough."""
    method = (to_head,) if isinstance(head, ResponseHead) else ()
    before = head.read(raw[:cut], *method)
    whole = head.read(raw, *method)
    assert before in (0, whole)
    assert isinstance(whole, Reason) or 0 <= whole <= len(raw)
    return whole


def chunked(data: bytes) -> None:
    chosen, raw, cut = options(data)
    decode, bare_lf = bool(chosen & 1), bool(chosen & 2)
    table = TRAILERS if chosen & 4 else None
    found = fed([raw], decode, table, bare_lf)
    assert fed([raw[:cut], raw[cut:]], decode, table, bare_lf) == found
    if isinstance(found, str):
        return
    passed, used, done = found
    assert used <= len(raw)
    if not decode:
        data_in = fed([raw], True, table, bare_lf)
        assert fed([passed], True) == (data_in[0], len(passed), done)
    if not bare_lf and table is None:
        received = as_server(CHUNKED_POST + raw)
        assert (received.done, received.rest) == (done, raw[used:] if done else b"")
        assert not decode or received.data == passed


def client_hello(data: bytes) -> None:
    _, raw, cut = options(data)
    reader = clienthello.HelloReader()
    part = _hello(reader, raw[:cut])
    whole = _hello(reader, raw) if part is None else part  # an error is the end
    assert whole == _hello(clienthello.HelloReader(), raw)


def _hello(reader: clienthello.HelloReader, raw: bytes) -> clienthello.ClientHello | str | None:
    try:
        return reader.read(raw)
    except clienthello.HelloError as error:
        return str(error)


def proxy_header(data: bytes) -> None:
    _, raw, cut = options(data)
    part, whole = _proxy_header(raw[:cut]), _proxy_header(raw)
    assert part in (None, whole)
    if not isinstance(whole, proxyproto.ProxyHeader):
        return
    assert 0 < whole.size <= len(raw)
    if whole.source is not None and whole.destination is not None:
        again = proxyproto.parse(proxyproto.encode("v2", whole.source, whole.destination))
        assert again is not None
        assert again[1:] == whole[1:]


def _proxy_header(raw: bytes) -> proxyproto.ProxyHeader | str | None:
    try:
        return proxyproto.parse(raw)
    except proxyproto.MalformedProxyHeader as error:
        return str(error)


def token(data: bytes) -> None:
    """`data` as a token, and as a header's value."""
    text = base64.b64encode(data)
    kind = gss_token.kind(text, 0)
    assert kind in range(4)
    assert gss_token.kind(b"Negotiate " + text + b" ", len(b"Negotiate")) == kind
    assert spnego.classify(b"nEGOTIATE " + text) is spnego.classify(b"Negotiate  " + text)
    refusal = gss_token.is_refusal(text)
    assert not (refusal and kind == 1), "a ticket that is a refusal"
    offered = spnego.challenge([b"Negotiate " + text])
    if text:
        assert (offered is spnego.Challenge.OFFER) is refusal
    spnego.classify(data)
    spnego.challenge(data.split(b"\n"))


def path(data: bytes) -> None:
    target = b"/" + data
    for denied in DENIED:
        assert listed(target, (denied,)) in (2, paths.is_denied(target, (denied,)))


def trace(data: bytes) -> None:
    found = trace_context.read(data)
    assert found is None or trace_context.written(*found)[3:53] == data[3:53]


TARGETS: dict[str, Callable[[bytes], None]] = {
    "request": request,
    "response": response,
    "chunked": chunked,
    "client_hello": client_hello,
    "proxy_header": proxy_header,
    "token": token,
    "path": path,
    "trace": trace,
}
"""name: the function; it raises for an input that breaks a rule."""
