"""Request heads as tables: those that are refused, with the rule they break, and those that are accepted, with what is
written for the backend (RFC 9112 throughout)."""

from __future__ import annotations

from lbproxy import reasons
from lbproxy.reasons import Reason

HOST = b"Host: login.test"


def head(*lines: bytes, first: bytes = b"GET /x HTTP/1.1", end: bytes = b"\r\n") -> bytes:
    """A head of these lines."""
    return b"".join(line + end for line in (first, *lines, b""))


def post(*lines: bytes, version: bytes = b"1.1") -> bytes:
    return head(HOST, *lines, first=b"POST /x HTTP/" + version)


def line(first: bytes) -> bytes:
    """A head with this request line."""
    return head(HOST, first=first)


def named(host: bytes) -> bytes:
    """A head with this Host value."""
    return head(b"Host: " + host)


CL, TE = b"Content-Length: 5", b"Transfer-Encoding: chunked"

_LINES: dict[str, tuple[bytes, Reason]] = {
    "NUL first": (b"\0" + line(b"GET / HTTP/1.1"), reasons.NOT_HTTP),
    "TLS": (b"\x16\x03\x01\x02\x00\x01", reasons.NOT_HTTP),
    "space first": (line(b" GET / HTTP/1.1"), reasons.NOT_HTTP),
    "LF first": (b"\n" + line(b"GET / HTTP/1.1"), reasons.NOT_HTTP),
    "CR without LF first": (b"\rG", reasons.NOT_HTTP),
    "three empty lines first": (b"\r\n\r\n\r\n" + line(b"GET / HTTP/1.1"), reasons.NOT_HTTP),
    "HTTP/0.9": (line(b"GET /x"), reasons.BAD_REQUEST_LINE),
    "method only": (line(b"GET"), reasons.BAD_REQUEST_LINE),
    "method and space": (line(b"GET "), reasons.BAD_REQUEST_LINE),
    "no target": (line(b"GET HTTP/1.1"), reasons.BAD_REQUEST_LINE),
    "two spaces before the target": (line(b"GET  /x HTTP/1.1"), reasons.BAD_REQUEST_LINE),
    "two spaces before the version": (line(b"GET /x  HTTP/1.1"), reasons.BAD_REQUEST_LINE),
    "space in the target": (line(b"GET /a b HTTP/1.1"), reasons.BAD_REQUEST_LINE),
    "space after the version": (line(b"GET /x HTTP/1.1 "), reasons.BAD_REQUEST_LINE),
    "lower-case version": (line(b"GET /x http/1.1"), reasons.BAD_REQUEST_LINE),
    "HTTP/1": (line(b"GET /x HTTP/1"), reasons.BAD_REQUEST_LINE),
    "HTTP/1.10": (line(b"GET /x HTTP/1.10"), reasons.BAD_REQUEST_LINE),
    "HTTP/01.1": (line(b"GET /x HTTP/01.1"), reasons.BAD_REQUEST_LINE),
    "HTTP/1,1": (line(b"GET /x HTTP/1,1"), reasons.BAD_REQUEST_LINE),
    "HTTP/0.9, named": (line(b"GET /x HTTP/0.9"), reasons.BAD_VERSION),
    "HTTP/2.0": (line(b"PRI * HTTP/2.0"), reasons.BAD_VERSION),
    "HTTP/1.x": (line(b"GET /x HTTP/1.x"), reasons.BAD_VERSION),
    "HTTP/1./": (line(b"GET /x HTTP/1./"), reasons.BAD_VERSION),
    "HTTP/1.:": (line(b"GET /x HTTP/1.:"), reasons.BAD_VERSION),
    "HTTP/1.2 and a bare LF": (b"GET /x HTTP/1.2\nHost: login.test\r\n\r\n", reasons.BARE_LF),
    "tab after the method": (line(b"GET\t/x HTTP/1.1"), reasons.BAD_METHOD),
    "colon in the method": (line(b"GE:T /x HTTP/1.1"), reasons.BAD_METHOD),
    "NUL in the method": (line(b"GE\0T /x HTTP/1.1"), reasons.BAD_METHOD),
    "obs-text in the method": (line(b"G\xc9T /x HTTP/1.1"), reasons.BAD_METHOD),
    "CONNECT": (line(b"CONNECT login.test:443 HTTP/1.1"), reasons.METHOD_REFUSED),
    "Connect": (line(b"Connect / HTTP/1.1"), reasons.METHOD_REFUSED),
    "trace": (line(b"trace / HTTP/1.1"), reasons.METHOD_REFUSED),
    "bare LF after the request line": (b"GET / HTTP/1.1\nHost: login.test\r\n\r\n", reasons.BARE_LF),
    "CR CR LF after the request line": (line(b"GET / HTTP/1.1\r"), reasons.BAD_REQUEST_LINE),
}
_TARGETS: dict[str, tuple[bytes, Reason]] = {
    "no slash": (line(b"GET x HTTP/1.1"), reasons.BAD_TARGET),
    "query only": (line(b"GET ?x HTTP/1.1"), reasons.BAD_TARGET),
    "asterisk for GET": (line(b"GET * HTTP/1.1"), reasons.BAD_TARGET),
    "asterisk for options": (line(b"options * HTTP/1.1"), reasons.BAD_TARGET),
    "two asterisks": (line(b"OPTIONS ** HTTP/1.1"), reasons.BAD_TARGET),
    "authority form": (line(b"GET login.test:80 HTTP/1.1"), reasons.BAD_TARGET),
    "fragment": (line(b"GET /x#y HTTP/1.1"), reasons.BAD_TARGET),
    "NUL": (line(b"GET /x\0 HTTP/1.1"), reasons.BAD_TARGET),
    "tab": (line(b"GET /x\t HTTP/1.1"), reasons.BAD_TARGET),
    "bare CR": (line(b"GET /x\ry HTTP/1.1"), reasons.BAD_TARGET),
    "DEL": (line(b"GET /x\x7f HTTP/1.1"), reasons.BAD_TARGET),
    "obs-text": (line(b"GET /caf\xe9 HTTP/1.1"), reasons.BAD_TARGET),
    "another scheme": (line(b"GET ftp://login.test/ HTTP/1.1"), reasons.BAD_TARGET),
    "scheme only": (line(b"GET http:// HTTP/1.1"), reasons.BAD_TARGET),
    "no authority": (line(b"GET http:///x HTTP/1.1"), reasons.BAD_TARGET),
    "no authority, query": (line(b"GET https://?x HTTP/1.1"), reasons.BAD_TARGET),
    "absolute, another host": (line(b"GET http://other.test/x HTTP/1.1"), reasons.BAD_HOST),
    "absolute, longer host": (line(b"GET http://login.test.evil.test/x HTTP/1.1"), reasons.BAD_HOST),
    "absolute, user": (line(b"GET http://u@login.test/x HTTP/1.1"), reasons.BAD_HOST),
    "absolute, another port": (line(b"GET http://login.test:80/x HTTP/1.1"), reasons.BAD_HOST),
    "absolute, @ for :": (
        head(b"Host: login.test:80", first=b"GET http://login.test@80/ HTTP/1.1"),
        reasons.BAD_HOST,
    ),
    "absolute, _ for -": (head(b"Host: a-b.test", first=b"GET http://a_b.test/ HTTP/1.1"), reasons.BAD_HOST),
    "absolute, backslash": (line(b"GET http://login.test\\x HTTP/1.1"), reasons.BAD_HOST),
    "absolute in 1.1 without Host": (head(first=b"GET http://login.test/ HTTP/1.1"), reasons.BAD_HOST),
    "absolute in 1.2 without Host": (head(first=b"GET http://login.test/ HTTP/1.2"), reasons.BAD_HOST),
    "absolute in 1.0, user": (head(first=b"GET http://u@login.test/ HTTP/1.0"), reasons.BAD_HOST),
    "absolute in 1.0, no port": (head(first=b"GET http://login.test:x/ HTTP/1.0"), reasons.BAD_HOST),
    "absolute in 1.0, another Host": (head(HOST, first=b"GET http://other.test/ HTTP/1.0"), reasons.BAD_HOST),
}
_FIELDS: dict[str, tuple[bytes, Reason]] = {
    "bare LF": (b"GET / HTTP/1.1\r\nHost: login.test\n\r\n", reasons.BARE_LF),
    "bare LF at the end": (b"GET / HTTP/1.1\r\nHost: login.test\r\n\n", reasons.BARE_LF),
    "bare LF everywhere": (head(HOST, end=b"\n"), reasons.BARE_LF),
    "folded": (head(HOST, b"X-A: 1", b" 2"), reasons.OBS_FOLD),
    "folded with a tab": (head(HOST, b"X-A: 1", b"\t2"), reasons.OBS_FOLD),
    "folded first line": (head(b" X-A: 1", HOST), reasons.OBS_FOLD),
    "space before the colon": (head(HOST, b"X-A : 1"), reasons.BAD_FIELD_NAME),
    "tab before the colon": (head(HOST, b"X-A\t: 1"), reasons.BAD_FIELD_NAME),
    "no colon": (head(HOST, b"X-A"), reasons.BAD_FIELD_NAME),
    "no name": (head(HOST, b": 1"), reasons.BAD_FIELD_NAME),
    "space in a name": (head(HOST, b"X A: 1"), reasons.BAD_FIELD_NAME),
    "NUL in a name": (head(HOST, b"X\0A: 1"), reasons.BAD_FIELD_NAME),
    "CR in a name": (head(HOST, b"X\rA: 1"), reasons.BAD_FIELD_NAME),
    "obs-text in a name": (head(HOST, b"X\xe9: 1"), reasons.BAD_FIELD_NAME),
    "brace in a name": (head(HOST, b"X{: 1"), reasons.BAD_FIELD_NAME),
    "NUL in a value": (head(HOST, b"X-A: 1\0"), reasons.BAD_FIELD_VALUE),
    "bare CR in a value": (head(HOST, b"X-A: 1\rX-B: 2"), reasons.BAD_FIELD_VALUE),
    "CR CR LF": (head(HOST, b"X-A: 1\r"), reasons.BAD_FIELD_VALUE),
    "vertical tab": (head(HOST, b"X-A: \x0b1"), reasons.BAD_FIELD_VALUE),
    "form feed": (head(HOST, b"X-A: 1\x0c"), reasons.BAD_FIELD_VALUE),
    "ESC": (head(HOST, b"X-A: " + b"x" * 40 + b"\x1b[2J"), reasons.BAD_FIELD_VALUE),
    "DEL": (head(HOST, b"X-A: " + b"x" * 16 + b"\x7f"), reasons.BAD_FIELD_VALUE),
    "no Host": (head(b"X-A: 1"), reasons.BAD_HOST),
    "no Host in 1.2": (head(first=b"GET / HTTP/1.2"), reasons.BAD_HOST),
    "two Hosts": (head(HOST, HOST), reasons.BAD_HOST),
    "two Hosts in 1.0": (head(HOST, HOST, first=b"GET / HTTP/1.0"), reasons.BAD_HOST),
    "Host with _ for -": (head(b"Ho_st: login.test"), reasons.BAD_HOST),
    "two Authorizations": (
        head(HOST, b"Authorization: Basic YTpi", b"AUTHORIZATION: Negotiate YII="),
        reasons.TWO_AUTHORIZATIONS,
    ),
    "another expectation": (head(HOST, b"Expect: 200-ok"), reasons.BAD_EXPECT),
    "two expectations": (head(HOST, b"Expect: 100-continue, x"), reasons.BAD_EXPECT),
    "Connection with a quote": (head(HOST, b'Connection: "close"'), reasons.BAD_FIELD_VALUE),
    "Connection with a parameter": (head(HOST, b"Connection: close;x"), reasons.BAD_FIELD_VALUE),
    "33 connection options": (head(HOST, b"Connection: " + b"close," * 33), reasons.BAD_FIELD_VALUE),
    "33 connection lines": (head(HOST, *[b"Connection: x"] * 33), reasons.BAD_FIELD_VALUE),
}
_HOSTS = {
    repr(value): (named(value), reasons.BAD_HOST)
    for value in (
        b'|,|a,b|a b|a/b|a\\b|u@a|u:p@a|a?b|a#b|"a"|<a>|a%2e|a\xe9|a*|'
        b":|:80|a:b|a:80x|a:-1|a:+80|a:80:81|a:123456|a::|login.test:80.evil.test|"
        b"[|]|[]|[::1|::1|[::1]a|[::1].evil.test|[::1]:x|[a.test]|[::1%25eth0]"
    ).split(b"|")
}
_FRAMING: dict[str, tuple[bytes, Reason]] = {
    **{
        f"Content-Length {value!r}": (post(b"Content-Length:" + value), reasons.BAD_LENGTH)
        for value in (
            b'| | +5| -5| 5,| 5, 5| 5 5| 0x5| 5_0| 5.0| "5"| five| 05x| 0-5| 0 5| 5;x| \xb5|'
            b" 1000000000000000000| 0001000000000000000000| 18446744073709551621"
        ).split(b"|")
    },
    **{
        f"Transfer-Encoding {value!r}": (post(b"Transfer-Encoding:" + value), reasons.BAD_TRANSFER_ENCODING)
        for value in (
            b"| identity| gzip| gzip, chunked| chunked, gzip| chunked, chunked| chunked,|"
            b' ,chunked| chunked;q=1| "chunked"| xchunked| chunkedx| chunked\xa0| chun\tked'
        ).split(b"|")
    },
    "two Content-Lengths": (post(CL, b"Content-Length: 6"), reasons.BAD_LENGTH),
    "two Content-Lengths of one meaning": (post(CL, b"Content-Length: 05"), reasons.BAD_LENGTH),
    "two equal Content-Lengths": (post(CL, b"content-length: 5"), reasons.BAD_LENGTH),
    "CL, TE": (post(CL, TE), reasons.LENGTH_AND_CHUNKED),
    "TE, CL": (post(TE, CL), reasons.LENGTH_AND_CHUNKED),
    "TE, CL 0": (post(TE, b"Content-Length: 0"), reasons.LENGTH_AND_CHUNKED),
    "TE, TE": (post(TE, TE), reasons.BAD_TRANSFER_ENCODING),
    "TE in 1.0": (post(TE, version=b"1.0"), reasons.BAD_TRANSFER_ENCODING),
    "space before the colon of CL": (post(b"Content-Length : 5"), reasons.BAD_FIELD_NAME),
    "folded TE": (post(b"Transfer-Encoding:", b" chunked"), reasons.BAD_TRANSFER_ENCODING),
}
REFUSED: dict[str, tuple[bytes, Reason]] = {
    f"{part}: {name}": row
    for part, rows in {
        "line": _LINES,
        "target": _TARGETS,
        "fields": _FIELDS,
        "host": _HOSTS,
        "framing": _FRAMING,
    }.items()
    for name, row in rows.items()
}
"""name: (a head, why it is refused)"""

_GET = b"GET /x HTTP/1.1"
_TAIL = [b"X-Forwarded-" + line for line in (b"For: 192.0.2.1", b"Proto: https", b"Host: login.test", b"Port: 443")]


def kept(*lines: bytes) -> tuple[bytes, bytes]:
    """A head that is passed on as it is, and as it is written."""
    return head(HOST, *lines), written(*lines)


def dropped(*lines: bytes) -> tuple[bytes, bytes]:
    """A head of which nothing but Host is passed on."""
    return head(HOST, *lines), written()


def written(*lines: bytes, first: bytes = _GET, host: bytes = HOST, tail: list[bytes] = _TAIL) -> bytes:
    """What is written of a head whose lines these are."""
    return head(host, *lines, *tail, first=first)


def _at(host: bytes) -> list[bytes]:
    """What is written last of a head for another host."""
    return [line.replace(b"login.test", host) for line in _TAIL]


def served(host: bytes) -> tuple[bytes, bytes]:
    return named(host), written(host=b"Host: " + host, tail=_at(host))


def asked(first: bytes, wanted: bytes) -> tuple[bytes, bytes]:
    """A request line, and what is written of it."""
    return line(first), written(first=wanted)


ACCEPTED: dict[str, tuple[bytes, bytes]] = {
    "plain": kept(b"Accept: */*", b"Cookie: a=b; c=d", b"X-Empty: "),
    "order and case": kept(b"x-b: 2", b"X-A: 1", b"x-B: 3"),
    "obs-text and tabs in a value": kept(b"X-A: caf\xe9\tx  y"),
    "every tchar in a name": kept(b"!#$%&'*+-.^`|~09azAZ: 1"),
    "no space after the colon": (head(b"Host:login.test", b"X-A:1"), written(b"X-A: 1")),
    "much space around a value": (head(b"Host: \t login.test\t ", b"X-A:  1 \t"), written(b"X-A: 1")),
    "two empty lines first": (b"\r\n\r\n" + head(HOST), written()),
    "another method": asked(b"M-SEARCH /x HTTP/1.1", b"M-SEARCH /x HTTP/1.1"),
    "methods have a case": asked(b"get /x HTTP/1.1", b"get /x HTTP/1.1"),
    "odd target": asked(b'GET //a/../%2e?"<>[]{}|\\^`;: HTTP/1.1', b'GET //a/../%2e?"<>[]{}|\\^`;: HTTP/1.1'),
    "asterisk": asked(b"OPTIONS * HTTP/1.1", b"OPTIONS * HTTP/1.1"),
    "absolute": asked(b"GET http://login.test/a?b HTTP/1.1", b"GET /a?b HTTP/1.1"),
    "absolute, another case": asked(b"GET HTTPS://LOGIN.test/a HTTP/1.1", b"GET /a HTTP/1.1"),
    "absolute without a path": asked(b"GET http://login.test HTTP/1.1", b"GET / HTTP/1.1"),
    "absolute, query only": asked(b"GET http://login.test?a/b HTTP/1.1", b"GET /?a/b HTTP/1.1"),
    "absolute OPTIONS without a path": asked(b"OPTIONS http://login.test HTTP/1.1", b"OPTIONS * HTTP/1.1"),
    **{
        f"Host {value.decode()}": served(value)
        for value in b"a|A-b_c.Test.|login.test:443|a:|192.0.2.7:1|[::1]|[2001:DB8::192.0.2.7]:65535".split(b"|")
    },
    "Host at the end": (head(b"A: 1", HOST), head(b"A: 1", HOST, *_TAIL)),
    "no Host in 1.0": (head(b"A: 1", first=b"GET /x HTTP/1.0"), head(b"A: 1", HOST, *_TAIL, first=_GET)),
    "absolute in 1.0 without Host": (
        head(b"A: 1", first=b"GET http://Other.test:8080/x HTTP/1.0"),
        head(b"A: 1", b"Host: Other.test:8080", *_at(b"Other.test:8080"), first=_GET),
    ),
    "absolute in 1.0 with Host": asked(b"GET http://login.test/x HTTP/1.0", _GET),
    "1.2 is 1.1": asked(b"GET /x HTTP/1.2", _GET),
    "1.9 is 1.1": (
        head(HOST, TE, b"Expect: 100-continue", first=b"POST /x HTTP/1.9"),
        written(TE, b"Expect: 100-continue", first=b"POST /x HTTP/1.1"),
    ),
    "upgrade in 1.2": (
        head(HOST, b"Connection: upgrade", b"Upgrade: websocket", first=b"GET /x HTTP/1.2"),
        written(b"Connection: upgrade", b"Upgrade: websocket"),
    ),
    "1.0 becomes 1.1": (head(HOST, b"Connection: keep-alive", first=b"GET /x HTTP/1.0"), written()),
    "Content-Length": (post(CL), written(CL, first=b"POST /x HTTP/1.1")),
    "Content-Length 0": (post(b"Content-Length: 0"), written(b"Content-Length: 0", first=b"POST /x HTTP/1.1")),
    **{
        f"Content-Length {value.decode()}": (
            post(b"Content-Length: " + value),
            written(b"Content-Length: " + number, first=b"POST /x HTTP/1.1"),
        )
        for value, number in ((b"003", b"3"), (b"00", b"0"), (b"0" * 100 + b"9" * 18, b"9" * 18))
    },
    "18 digits": kept(b"Content-Length: 999999999999999999"),
    "chunked": (post(b"transfer-ENCODING:\t Chunked\t"), written(TE, first=b"POST /x HTTP/1.1")),
    "framing of a name with _ is none": dropped(b"Content_Length: 5", b"Transfer_Encoding: chunked"),
    "names with _": dropped(b"X_A: 1", b"_: 1"),
    "hop by hop": dropped(
        b"Keep-Alive: 5", b"Proxy-Connection: close", b"TE: trailers", b"Proxy-Authorization: Basic eA=="
    ),
    "nominated": dropped(b"Connection: x-b, X-A,,", b"X-A: 1", b"x-B: 2", b"connection: , x-c", b"X-C: 3"),
    "nominated before and after": (head(b"X-A: 1", HOST, b"Connection: X-A", b"x-a: 2"), written()),
    "32 connection options": dropped(b"Connection: " + b", ".join([b"a", b"close"] * 16)),
    "what nobody nominates away": (
        post(b"Connection: host, content-length, authorization, x-forwarded-for, user-agent", CL, b"User-Agent: u"),
        written(CL, b"User-Agent: u", first=b"POST /x HTTP/1.1"),
    ),
    "forged forwarding": dropped(
        *(b"X-Forwarded-" + name + b": evil" for name in (b"For", b"Proto", b"Host", b"Port", b"Server", b"User")),
        b"Forwarded: for=evil",
        b"Connection: x-forwarded-host",
    ),
    "forged identity": dropped(b"X-IISNode-LOGON_USER: LAB\\other", b"X-Remote-User: root", b"Client-Cert: :eA==:"),
    "websocket": (
        head(HOST, b"Connection: keep-alive, Upgrade", b"Upgrade: WebSocket"),
        written(b"Connection: upgrade", b"Upgrade: websocket"),
    ),
    "h2c": dropped(b"Connection: upgrade, http2-settings", b"Upgrade: h2c", b"HTTP2-Settings: AA"),
    "upgrade with a body": (
        post(b"Connection: upgrade", b"Upgrade: websocket", CL),
        written(CL, first=b"POST /x HTTP/1.1"),
    ),
    "upgrade in 1.0": (
        head(HOST, b"Connection: upgrade", b"Upgrade: websocket", first=b"GET /x HTTP/1.0"),
        written(),
    ),
    "upgrade not nominated": dropped(b"Upgrade: websocket"),
    "expectation": (post(b"Expect: 100-Continue", TE), written(TE, b"Expect: 100-continue", first=b"POST /x HTTP/1.1")),
    "expectation in 1.0": (post(b"Expect: 100-continue", version=b"1.0"), written(first=b"POST /x HTTP/1.1")),
}
"""name: (a head, what the backend gets: for the client 192.0.2.1 of https://login.test)"""
