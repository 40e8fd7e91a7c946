"""Which header names mean what."""

from __future__ import annotations

import pytest

from lbproxy.wire import headers
from lbproxy.wire.bodies import Body
from lbproxy.wire.fields import Field, FieldTable, Limits
from lbproxy.wire.headers import RESPONSE_FIELDS, RESPONSE_TRAILERS, may_have_id, request_fields, request_trailers
from lbproxy.wire.heads import Framing
from lbproxy.wire.request_heads import Forwarding, RequestHead
from lbproxy.wire.response_heads import ResponseHead

CERTIFICATES = [
    "Client-Cert",
    "Client-Cert-Chain",
    "Client-Certificate",
    "X-Forwarded-Client-Cert",
    "X-Forwarded-Client-Cert-Chain",
    "SSL-Client-Cert",
    "SSL_CLIENT_CERT",
    "SSL_CLIENT_S_DN",
    "SSL_CLIENT_VERIFY",
    "SSL_CLIENT_CERT_CHAIN_0",
    "CERT_CHAIN_0",
    "ssl-client-subject-dn",
    "ssl-client-verify",
    "X-SSL",
    "X-SSL-Cert",
    "X-SSL-Client-Cert",
    "X-SSL-Client-S-DN",
    "X-SSL-Client-Verify",
    "X-SSL-Client-SHA1",
    "X-SSL-Issuer",
    "X-Client-Cert",
    "X-Client-Cert-DN",
    "X-Client-Cert-Chain-Verified",
    "X-Client-Certificate",
    "X-ClientCert-DN",
    "X-Client-DN",
    "X-Client-S-DN",
    "X-Client-Verify",
    "X-Client-Verified",
    "X-Client-Subject",
    "X-Client-Fingerprint",
    "X-Forwarded-Ssl-Client-Cert",
    "X-Forwarded-Ssl-Client-Cert-Infos",
    "X-Forwarded-SSL-Certificate",
    "X-Forwarded-Tls-Client-Cert",
    "X-Forwarded-Tls-Client-Cert-Info",
    "X-TLS-Client-Cert",
    "X-MTLS-Client-Cert",
    "X-Amzn-Mtls-Clientcert",
    "X-Amzn-Mtls-Clientcert-Leaf",
    "X-Amzn-Mtls-Clientcert-Subject",
    "CloudFront-Viewer-Cert-Pem",
    "Cf-Cert-Subject-DN",
    "Cf-Cert-Verified",
    "Cf-Client-Cert-Der-Base64",
    "Cf-Client-Cert-Sha256",
    "X-ARR-ClientCert",
    "X-ARR-SSL",
    "SSLClientCertSubject",
    "SSLClientCertStatus",
    "WL-Proxy-Client-Cert",
    "$WSCC",
]
"""How the documents of proxies, clouds and servers, and those who use them, name what a client certificate says."""

SIGN_INS = [
    "X-MS-CLIENT-PRINCIPAL",
    "X-MS-CLIENT-PRINCIPAL-ID",
    "X-MS-CLIENT-PRINCIPAL-NAME",
    "X-MS-CLIENT-PRINCIPAL-IDP",
    "X-MS-TOKEN-AAD-ID-TOKEN",
    "X-Amzn-Oidc-Identity",
    "X-Amzn-Oidc-Data",
    "X-Amzn-Oidc-Accesstoken",
    "X-Goog-Authenticated-User-Email",
    "X-Goog-IAP-JWT-Assertion",
    "Cf-Access-Authenticated-User-Email",
    "X-Auth-Request-Email",
    "Remote-Groups",
]
"""How clouds and sign-in proxies tell a backend whom they have signed in."""

HONEST = [
    "X-Client-Version",
    "X-Client-Name",
    "X-Client-Id",
    "X-Client-Data",
    "Client-Version",
    "Client-Id",
    "Client",
    "X-Certificate-Request",
    "Certificate",
    "X-TLS-Version",
    "X-Amzn-Trace-Id",
    "X-Amzn-Request-Id",
    "X-MS-Version",
    "X-MS-Client-Request-Id",
    "X-Goog-Api-Client",
    "CF-Connecting-Ip",
    "CF-Ray",
    "CloudFront-Viewer-Country",
    "X-WS-Id",
    "WS-Id",
    "Sec-WebSocket-Key",
    "Sec-Fetch-Site",
    "X-Requested-With",
    "X-Correlation-Id",
]

PREFIXED = ("X-IISNode-LOGON_USER", *CERTIFICATES, *SIGN_INS)
STRIPPED = [*headers.HOP_BY_HOP, *headers.IDENTITY, *headers.OVERRIDES, *PREFIXED]


def in_request(name: str, table: FieldTable) -> Field:
    """What a header name means in a request."""
    head = RequestHead(Limits(), table)
    assert head.read(f"GET / HTTP/1.0\r\n{name}: 0\r\n\r\n".encode())
    [(_, _, field)] = head.fields()
    return field


def in_response(name: str) -> Field:
    head = ResponseHead(Limits(), RESPONSE_FIELDS)
    assert head.read(f"HTTP/1.1 200 OK\r\n{name}: 0\r\n\r\n".encode())
    [(_, _, field)] = head.fields()
    return field


def late(name: str, table: FieldTable) -> bool:
    """Whether a header line is passed on in a trailer section."""
    body = Body()
    body.begin(Framing.CHUNKED, table=table)
    passed, _ = body.feed(f"0\r\n{name}: 0\r\n\r\n".encode())
    return name.encode() in passed


@pytest.mark.parametrize("name", STRIPPED)
def test_stripped_in_every_spelling(name: str) -> None:
    table = request_fields(allow_underscores=True)
    for spelling in (name, name.upper(), name.title(), name.replace("-", "_"), name.replace("-", "_", 1)):
        assert in_request(spelling, table) == Field.STRIP


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("Authorization", Field.AUTHORIZATION),
        ("USER-AGENT", Field.USER_AGENT),
        ("content-length", Field.CONTENT_LENGTH),
        ("x-forwarded-for", Field.FORWARDED_FOR),
        ("X-Forwarded-Proto", Field.FORWARDED_PROTO),
        ("X-Forwarded-Host", Field.FORWARDED_HOST),
        ("X-Forwarded-Port", Field.FORWARDED_PORT),
        ("Forwarded", Field.FORWARDED),
        ("X-Forwarded-Server", Field.FORWARDED),
        ("X-Forwarded-Prefix", Field.FORWARDED),
        ("X-Forwarded-User", Field.STRIP),
        ("X-Forwarded", Field.OTHER),
        ("X-Forwarded-", Field.FORWARDED),
        ("XX-Forwarded-For", Field.OTHER),
        ("X-IISNode", Field.OTHER),
        ("X-IISNode-", Field.STRIP),
        ("X-IISNode-1", Field.STRIP),
        ("X-Forwarded-Ssl", Field.FORWARDED),
        ("Cookie", Field.OTHER),
        ("Location", Field.OTHER),
        ("Trailer", Field.OTHER),
    ],
)
def test_requests(name: str, field: Field) -> None:
    assert in_request(name, request_fields()) == field


@pytest.mark.parametrize("name", CERTIFICATES + SIGN_INS)
def test_a_forged_identity_never_passes(name: str) -> None:
    """Not from a trusted proxy either, whatever the spelling, and not as a trailer."""
    head = RequestHead(Limits(), request_fields(allow_underscores=True))
    for spelling in {name, name.lower(), name.upper(), name.replace("-", "_"), name.replace("_", "-")}:
        raw = f"GET / HTTP/1.1\r\nHost: login.test\r\n{spelling}: forged\r\n\r\n".encode()
        assert head.read(raw) == len(raw)
        assert b"forged" not in head.rewritten(Forwarding(b"https", b"443", b"login.test"), b"192.0.2.1", True)
        assert not late(spelling, request_trailers())


@pytest.mark.parametrize("name", HONEST)
def test_what_only_looks_like_an_identity_passes(name: str) -> None:
    assert in_request(name, request_fields()) == Field.OTHER
    assert late(name, request_trailers())


@pytest.mark.parametrize("name", ["X_A", "x_forwarded_for", "X-Forwarded_Any", "user_agent", "Content_Length", "_"])
def test_names_with_an_underscore(name: str) -> None:
    """Passed on if the administrator wants, unless they would mean something with a hyphen."""
    assert in_request(name, request_fields()) == Field.STRIP
    assert in_request(name, request_fields(allow_underscores=True)) == (
        Field.OTHER if name in ("X_A", "_") else Field.STRIP
    )


@pytest.mark.parametrize("name", ["X-Mine", "x_mine", "User-Agent", "Authorization", "X-Forwarded-Proto", "Cookie"])
def test_the_administrator_may_strip_more(name: str) -> None:
    table = request_fields([name], allow_underscores=True)
    for spelling in (name, name.lower(), name.replace("_", "-")):
        assert in_request(spelling, table) == Field.STRIP
    assert in_request("X-Mine-Too", table) == Field.OTHER
    assert not late(name, request_trailers([name]))


def test_there_is_room_for_a_hundred_names() -> None:
    table = request_fields(f"X-{i}" for i in range(100))
    assert {in_request(f"x-{i}", table) for i in range(100)} == {Field.STRIP}
    assert in_request("x-100", table) == Field.OTHER
    with pytest.raises(ValueError, match="too many header names"):
        request_fields(f"X-{i}" for i in range(200))


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("Content-Length", Field.CONTENT_LENGTH),
        ("WWW-Authenticate", Field.WWW_AUTHENTICATE),
        ("Location", Field.LOCATION),
        ("content-location", Field.LOCATION),
        ("Keep-Alive", Field.STRIP),
        ("Content_Length", Field.STRIP),
        ("Set-Cookie", Field.OTHER),
        ("X-Forwarded-User", Field.OTHER),
        ("X_A", Field.OTHER),
    ],
)
def test_responses(name: str, field: Field) -> None:
    assert in_response(name) == field


@pytest.mark.parametrize("name", ["Content-Length", "Transfer-Encoding", "WWW-Authenticate", "Set-Cookie", "TE"])
def test_what_may_not_come_late_in_a_response(name: str) -> None:
    """RFC 9110 section 6.5.1."""
    assert not late(name, RESPONSE_TRAILERS)


def test_other_trailers_are_passed_on() -> None:
    assert late("Server-Timing", RESPONSE_TRAILERS)
    assert late("X-Checksum", request_trailers())


def test_the_name_of_request_ids_is_known_in_any_case() -> None:
    table = request_fields(request_id="X-Request-ID")
    assert in_request("x-reQuest-id", table) == Field.REQUEST_ID
    assert in_request("X_Request_ID", table) == Field.STRIP
    assert in_request("X-Request-ID", request_fields(["X-Request-ID"], request_id="X-Request-ID")) == Field.STRIP
    assert in_request("X-Request-ID", request_fields()) == Field.OTHER


@pytest.mark.parametrize("name", ["X-Request-ID", "x-correlation-id", "Request-Id", "X-B3-TraceId"])
def test_a_header_may_have_the_ids(name: str) -> None:
    assert may_have_id(name)


@pytest.mark.parametrize(
    "name", ["Host", "cookie", "X-Remote-User", "X-Forwarded-For", "X-SSL-Client", "Connection", "TE", "traceparent"]
)
def test_a_header_with_another_meaning_may_not(name: str) -> None:
    assert not may_have_id(name)
