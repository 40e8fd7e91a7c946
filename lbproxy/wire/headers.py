"""Which header names mean what: the data that `wire.fields` scans with.

Three families never reach a backend from a client: hop-by-hop fields (RFC 9110 section 7.6.1), identities that only
the balancer may assert (facts: a forged `X-IISNode-LOGON_USER` beside a valid ticket gave a signed assertion for the
other user), and fields that would say the request was for another path or host than the one that was checked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lbproxy.wire.fields import Field, FieldTable

HOP_BY_HOP = ("keep-alive", "proxy-connection", "te", "proxy-authorization", "http2-settings")
"""Dropped in both directions. Connection, Upgrade and Transfer-Encoding are understood instead."""

IDENTITY = (
    "x-forwarded-user",
    "x-remote-user",
    "remote-user",
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-forwarded-preferred-username",
    "remote-name",  # Authelia
    "remote-email",
    "remote-groups",
    "x-auth-request-user",  # oauth2-proxy
    "x-auth-request-email",
    "x-auth-request-groups",
    "x-auth-request-preferred-username",
    "x-authenticated-user",
    "auth-user",
    "x-webauth-user",
    "x-goog-iap-jwt-assertion",  # Google Cloud's Identity-Aware Proxy
    "cf-access-jwt-assertion",  # Cloudflare Access
    "cf-access-authenticated-user-email",
    "x-arr-clientcert",  # IIS ARR, Azure App Service
    "x-arr-ssl",
    "x-ssl",
    # The fields of a certificate as the authors of configurations name them; X-Client-Version and its like are honest.
    "x-client-verify",
    "x-client-verified",
    "x-client-dn",
    "x-client-s-dn",
    "x-client-i-dn",
    "x-client-cn",
    "x-client-subject",
    "x-client-subject-dn",
    "x-client-issuer",
    "x-client-issuer-dn",
    "x-client-serial",
    "x-client-fingerprint",
    "x-client-thumbprint",
)
IDENTITY_PREFIXES = (
    "x-iisnode-",
    "client-cert",  # RFC 9440
    "x-client-cert",  # Google Cloud, Caddy, F5 and many more
    "x-clientcert",
    "cert-chain",  # Keycloak behind Apache or HAProxy
    "ssl-",  # the variables of Apache and nginx: SSL_CLIENT_S_DN, ssl-client-verify
    "sslclient",  # F5: SSLClientCertSubject
    "x-ssl-",  # HAProxy, nginx
    "x-tls-client-",
    "x-mtls-",
    "x-forwarded-client-cert",  # Envoy, Istio
    "x-forwarded-ssl-",  # Traefik 1, Apache
    "x-forwarded-tls-client-",  # Traefik
    "x-amzn-mtls-",  # AWS
    "x-amzn-oidc-",  # AWS: the user that an Application Load Balancer has signed in
    "x-ms-client-principal",  # Azure App Service: X-MS-CLIENT-PRINCIPAL, -ID, -NAME, -IDP
    "x-ms-token-",
    "x-goog-authenticated-user-",
    "cloudfront-viewer-cert-",
    "cf-cert-",  # Cloudflare
    "cf-client-cert-",
    "wl-proxy-",  # WebLogic: WL-Proxy-Client-Cert
    "$ws",  # WebSphere: $WSCC
)
"""Whole families, each a proxy's to say, because no list of what a certificate or a sign-in tells would be complete."""

FORWARDED_PREFIX = "x-forwarded-"
"""The rest of the family (-Server, -Prefix, -Scheme, ...): what a proxy says, so kept from trusted peers only."""

OVERRIDES = ("x-original-url", "x-rewrite-url", "x-original-host", "x-real-ip", "x-client-ip", "true-client-ip")
"""They say that the path, the host or the client is another one than lbproxy saw; some frameworks believe them."""

_REQUEST = {
    "host": Field.HOST,
    "content-length": Field.CONTENT_LENGTH,
    "transfer-encoding": Field.TRANSFER_ENCODING,
    "connection": Field.CONNECTION,
    "upgrade": Field.UPGRADE,
    "expect": Field.EXPECT,
    "authorization": Field.AUTHORIZATION,
    "user-agent": Field.USER_AGENT,
    "idempotency-key": Field.IDEMPOTENCY_KEY,
    "x-forwarded-for": Field.FORWARDED_FOR,
    "x-forwarded-proto": Field.FORWARDED_PROTO,
    "x-forwarded-host": Field.FORWARDED_HOST,
    "x-forwarded-port": Field.FORWARDED_PORT,
    "forwarded": Field.FORWARDED,
}
_TRACES = {"traceparent": Field.TRACEPARENT, "tracestate": Field.TRACESTATE}
_RESPONSE = {
    "content-length": Field.CONTENT_LENGTH,
    "transfer-encoding": Field.TRANSFER_ENCODING,
    "connection": Field.CONNECTION,
    "upgrade": Field.UPGRADE,
    "www-authenticate": Field.WWW_AUTHENTICATE,
    "location": Field.LOCATION,
    "content-location": Field.LOCATION,
}


def _table(
    fields: Mapping[str, Field],
    strip: Iterable[str],
    prefixes: Mapping[str, Field] | None = None,
    allow_underscores: bool = True,
) -> FieldTable:
    """What is in `strip` is stripped, even if it is in `fields`."""
    names = dict(fields) | {name.lower(): Field.STRIP for name in strip}
    return FieldTable(_encoded(names), _encoded(prefixes or {}), allow_underscores)


def _encoded(names: Mapping[str, Field]) -> dict[bytes, Field]:
    return {name.encode(): field for name, field in names.items()}


def request_fields(
    strip: Iterable[str] = (), allow_underscores: bool = False, request_id: str = "", traces: bool = False
) -> FieldTable:
    """The table for a listener's request heads.

    `strip` are the administrator's own names (`strip_headers`), `request_id` is the header that has a request's id.
    traces: whether lbproxy takes part in traces. If it does not, their headers pass as any other.
    """
    fields = _REQUEST | ({request_id.lower(): Field.REQUEST_ID} if request_id else {}) | (_TRACES if traces else {})
    prefixes = dict.fromkeys(IDENTITY_PREFIXES, Field.STRIP) | {FORWARDED_PREFIX: Field.FORWARDED}
    return _table(fields, (*HOP_BY_HOP, *IDENTITY, *OVERRIDES, *strip), prefixes, allow_underscores)


_MESSAGE = ("cookie", "trailer", "content-type", "content-encoding", "range", "traceparent", "tracestate")


def may_have_id(name: str) -> bool:
    """Whether a header of this name may have a request's id: no message needs it for something else."""
    return name.lower() not in _MESSAGE and request_fields().meaning(name.encode()) is Field.OTHER


def request_trailers(strip: Iterable[str] = ()) -> FieldTable:
    """The table for request trailers: what frames, routes or identifies may not come late (RFC 9110 section 6.5.1)."""
    prefixes = dict.fromkeys((*IDENTITY_PREFIXES, FORWARDED_PREFIX), Field.STRIP)
    return _table({}, (*HOP_BY_HOP, *IDENTITY, *OVERRIDES, *_REQUEST, "trailer", "cookie", *strip), prefixes, False)


RESPONSE_FIELDS = _table(_RESPONSE, HOP_BY_HOP)
RESPONSE_TRAILERS = _table({}, (*HOP_BY_HOP, *_RESPONSE, "trailer", "set-cookie"))
