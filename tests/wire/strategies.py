"""Messages for hypothesis: `*_heads` and `chunked_bodies` follow the grammar of RFC 9112; `damaged` breaks them."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from hypothesis import strategies as st

TCHAR = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
VISIBLE = bytes(range(0x21, 0x7F))
FIELD_BYTES = b"\t " + VISIBLE + bytes(range(0x80, 0x100))


def _text(alphabet: bytes, min_size: int = 0, max_size: int = 12) -> st.SearchStrategy[bytes]:
    """Bytes of an alphabet; one draw, where a list of its letters would be one each."""
    table = bytes(alphabet[i % len(alphabet)] for i in range(256))
    return st.binary(min_size=min_size, max_size=max_size).map(lambda raw: raw.translate(table))


tokens = _text(TCHAR, 1)
_spaces = _text(b" \t", max_size=2)
_values = _text(FIELD_BYTES)
_names = tokens | st.sampled_from(
    b"X-A x_a Cookie Keep-Alive X-Forwarded-For x-forwarded-host X-Forwarded-Proto X-Forwarded-Port Forwarded "
    b"X_Forwarded_For X-Remote-User User-Agent Set-Cookie WWW-Authenticate Location Content-Location".split()
)
_SPECIAL = {b"host", b"content-length", b"transfer-encoding", b"connection", b"upgrade", b"expect", b"authorization"}
_others = st.tuples(_names.filter(lambda name: name.lower() not in _SPECIAL), _values)
_options = tokens | st.sampled_from([b"close", b"Keep-Alive", b"upgrade", b"X-A", b"Host"])
_connections = st.tuples(st.just(b"Connection"), st.lists(_options, max_size=4).map(b", ".join))
_upgrades = st.tuples(st.just(b"Upgrade"), st.sampled_from([b"websocket", b"WebSocket", b"h2c"]))
_lengths = st.tuples(st.sampled_from([b"%d", b"%d", b"%03d", b"%020d"]), st.integers(0, 10**18 - 1)).map(
    lambda length: [(b"content-Length", length[0] % length[1])]
)  # 20 digits are as many as h11 takes
_framings: st.SearchStrategy[list[tuple[bytes, bytes]]] = (
    st.just([]) | _lengths | st.just([(b"Transfer-Encoding", b"Chunked")])
)
_ends = st.sampled_from([b"\r\n", b"\n"])
hosts = st.sampled_from([b"login.test", b"LOGIN.test:443", b"a", b"[::1]", b"[::1]:80", b"192.0.2.7"])


def _unless(banned: set[bytes], texts: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return texts.filter(lambda text: text.lower() not in banned)


methods = st.sampled_from([b"GET", b"HEAD", b"POST", b"OPTIONS"]) | _unless({b"connect", b"trace"}, tokens)
_paths = _text(VISIBLE.replace(b"#", b"")).map(lambda path: b"/" + path)
_versions = st.sampled_from([b"1.1", b"1.1", b"1.0", b"1.2", b"1.9"])
_schemes = st.sampled_from([b"http://", b"HTTPS://"])


@st.composite
def _lines(draw: st.DrawFn, special: list[tuple[bytes, bytes]], min_size: int = 0) -> bytes:
    """Header lines, those in `special` anywhere among them, each with some white space around its value."""
    lines = draw(st.lists(_others | _connections | _upgrades, min_size=min_size, max_size=6))
    lines = draw(st.permutations(lines + special))
    return b"".join(name + b":" + draw(_spaces) + value + draw(_spaces) + b"\r\n" for name, value in lines)


@st.composite
def request_heads(draw: st.DrawFn) -> bytes:
    """A request head that is to be accepted."""
    version = draw(_versions)
    host = draw(hosts)
    special = draw(st.just([]) | _lengths if version == b"1.0" else _framings)
    special = special + draw(st.just([]) | st.just([(b"Expect", b"100-Continue")]))
    special = special + draw(st.just([]) | st.just([(b"AUTHORIZATION", b"Negotiate YII=")]))
    absolute = draw(st.booleans())
    if version != b"1.0" or draw(st.booleans()):
        special = [*special, (b"Host", host)]
    target = draw(_schemes) + host + draw(_paths | st.sampled_from([b"", b"?a/b"])) if absolute else draw(_paths)
    empty = draw(st.sampled_from([b"", b"", b"\r\n", b"\r\n\r\n"]))
    return empty + draw(methods) + b" " + target + b" HTTP/" + version + b"\r\n" + draw(_lines(special)) + b"\r\n"


@st.composite
def response_heads(draw: st.DrawFn) -> bytes:
    """A response head that is to be accepted; never a 101."""
    version = draw(_versions)
    status = draw(st.sampled_from([100, 103, 199, 200, 204, 205, 304, 401, 599]) | st.integers(200, 599))
    reason = draw(st.just(b"") | _text(FIELD_BYTES).map(lambda text: b" " + text))
    special = draw(st.just([]) | _lengths if version == b"1.0" else _framings)
    return b"HTTP/%s %d%s\r\n%s\r\n" % (version, status, reason, draw(_lines(special)))


@st.composite
def with_bare_lf(draw: st.DrawFn, head: bytes) -> bytes:
    """A head of which some lines end with LF alone."""
    *lines, rest = head.split(b"\r\n")
    return b"".join(line + draw(_ends) for line in lines) + rest


class Chunked(NamedTuple):
    """A chunked body as it is sent, the data in it, and the same body with some lines that end with LF alone."""

    raw: bytes
    data: bytes
    loose: bytes


_extension = _text(FIELD_BYTES.replace(b'"', b"")).map(lambda text: b";" + text) | st.just(b';a="b;\t c"')
_sizes = st.sampled_from([b"%x", b"%X", b"%08x", b"%015x"])


@st.composite
def chunked_bodies(draw: st.DrawFn) -> Chunked:
    """A chunked body with chunk extensions and trailers that is to be accepted."""
    datas = draw(st.lists(st.binary(min_size=1, max_size=20), max_size=4))
    raw = loose = b""
    for data in [*datas, b""]:
        size = draw(_sizes) % len(data) + draw(st.just(b"") | _extension)
        raw += size + b"\r\n" + (data + b"\r\n" if data else b"")
        loose += size + draw(_ends) + (data + draw(_ends) if data else b"")
    trailer = draw(st.just(b"") | _lines([], 1)) + b"\r\n"
    return Chunked(raw + trailer, b"".join(datas), loose + draw(with_bare_lf(trailer)))


@st.composite
def damaged(draw: st.DrawFn, messages: st.SearchStrategy[bytes]) -> bytes:
    """A message of which some bytes were replaced, removed, repeated or put in between."""
    raw = draw(messages)
    junk = st.binary(max_size=3) | st.sampled_from(b"\r|\n|\r\n|\r\n |\t| |:|\0|,|;|0|_".split(b"|"))
    for _ in range(draw(st.integers(1, 3))):
        start, end = sorted((draw(st.integers(0, len(raw))), draw(st.integers(0, len(raw)))))
        cut = draw(st.sampled_from([0, 1, 2, end - start]))
        raw = raw[:start] + draw(junk | st.just(raw[start:end])) + raw[start + cut :]
    return raw


@st.composite
def pieces(draw: st.DrawFn, raw: bytes) -> list[bytes]:
    """Any split of the bytes."""
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(raw) - 1)), max_size=6)) | {0, len(raw)})
    return [raw[start:end] for start, end in pairwise(cuts)]
