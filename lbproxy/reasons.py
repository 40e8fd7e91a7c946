"""The reasons: one table of why a request, a client connection or a lane ended.

Each row feeds the metric label, the log text, the HTTP status that lbproxy answers with, whether the end counts
against the backend, and whether the request may be tried on another one. Nothing ends without a row.
The habit is Varnish's `include/tbl/sess_close.h`.

`TABLE` maps every label to its row, in the order of this file; docs/ and metrics are generated from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Fault(Enum):
    """Who has to change something for this not to happen again."""

    NOBODY = "nobody"
    CLIENT = "client"
    BACKEND = "backend"
    LBPROXY = "lbproxy"


class Counts(Enum):
    """What an end means for the backend's health (decided in `balance.health`)."""

    NOTHING = "nothing"
    SUSPECT = "suspect"  # ambiguous: a probe is sent at once, and the probe decides
    ERROR = "error"  # `consecutive_errors` in a row eject
    EJECT = "eject"  # out of rotation now


@dataclass(frozen=True, slots=True, eq=False)
class Reason:
    """A row: compare rows by identity, never by label.

    status is the HTTP status of lbproxy's own answer, 0 where there is none (499 is only logged, as nginx does).
    retry says that another backend may be tried if the request is replayable; `connect_*` rows may be tried whatever
    the request is, because no byte of it was sent.
    """

    label: str
    text: str
    fault: Fault = Fault.NOBODY
    status: int = 0
    counts: Counts = Counts.NOTHING
    retry: bool = False

    def __repr__(self) -> str:
        return f"<{self.label}>"


TABLE: dict[str, Reason] = {}


def _row(
    label: str,
    text: str,
    fault: Fault = Fault.NOBODY,
    status: int = 0,
    counts: Counts = Counts.NOTHING,
    retry: bool = False,
) -> Reason:
    assert label not in TABLE, label
    TABLE[label] = Reason(label, text, fault, status, counts, retry)
    return TABLE[label]


_CLIENT, _BACKEND, _LBPROXY = Fault.CLIENT, Fault.BACKEND, Fault.LBPROXY

# --- a request ended well
DONE = _row("done", "answered completely")
TUNNEL_DONE = _row("tunnel_done", "the connection that was passed through, or upgraded, was closed by both ends")

# --- a request head that was refused (RFC 9112; each names the rule that it broke)
NOT_HTTP = _row("not_http", "the first bytes are not an HTTP request", _CLIENT, 400)
BAD_REQUEST_LINE = _row("bad_request_line", "malformed request line", _CLIENT, 400)
BAD_METHOD = _row("bad_method", "the method is not a token", _CLIENT, 400)
METHOD_REFUSED = _row("method_refused", "CONNECT and TRACE are not served", _CLIENT, 405)
BAD_TARGET = _row("bad_target", "malformed request target", _CLIENT, 400)
TARGET_TOO_LONG = _row("target_too_long", "the request target is longer than max_target_size", _CLIENT, 414)
BAD_VERSION = _row("bad_version", "the HTTP version is not 1.x", _CLIENT, 505)
BARE_LF = _row("bare_lf", "a line ends without CR LF", _CLIENT, 400)
OBS_FOLD = _row("obs_fold", "a header line is folded", _CLIENT, 400)
BAD_FIELD_NAME = _row("bad_field_name", "a header name is not a token followed by a colon", _CLIENT, 400)
BAD_FIELD_VALUE = _row("bad_field_value", "a header value has a control character", _CLIENT, 400)
TOO_MANY_FIELDS = _row("too_many_fields", "more header lines than max_header_lines", _CLIENT, 431)
HEAD_TOO_LARGE = _row("head_too_large", "the head is larger than max_header_size", _CLIENT, 431)
BAD_HOST = _row("bad_host", "no Host, two of them, or a malformed one", _CLIENT, 400)
TWO_AUTHORIZATIONS = _row("two_authorizations", "more than one Authorization line", _CLIENT, 400)
BAD_LENGTH = _row("bad_length", "Content-Length is not one plain number", _CLIENT, 400)
LENGTH_AND_CHUNKED = _row("length_and_chunked", "both Content-Length and Transfer-Encoding", _CLIENT, 400)
BAD_TRANSFER_ENCODING = _row("bad_transfer_encoding", "Transfer-Encoding is not exactly chunked", _CLIENT, 400)
BAD_EXPECT = _row("bad_expect", "Expect is not 100-continue", _CLIENT, 417)
BAD_CHUNK = _row("bad_chunk", "malformed chunk in the request body", _CLIENT, 400)
BAD_TRAILER = _row("bad_trailer", "malformed or oversized trailer section in the request", _CLIENT, 400)
MISDIRECTED = _row(
    "misdirected",
    "the Host is not one that this listener serves, or not the server name of the TLS connection",
    _CLIENT,
    421,
)
DENIED_PATH = _row("denied_path", "the path is listed in deny_paths", _CLIENT, 404)

# --- the client's side of a request or connection
HEADER_TIMEOUT = _row("header_timeout", "the request head did not arrive within header_timeout", _CLIENT, 408)
BODY_TIMEOUT = _row("body_timeout", "the request body stood still for idle_timeout", _CLIENT, 408)
CLIENT_STALLED = _row("client_stalled", "the client read nothing of its answer for idle_timeout", _CLIENT)
CLIENT_GONE = _row("client_gone", "the client went away before its answer was complete", _CLIENT, 499)
CLIENT_CLOSED = _row("client_closed", "the client closed an idle connection")
IDLE_TIMEOUT = _row("idle_timeout", "the client connection was idle for idle_timeout")
TLS_FAILED = _row("tls_failed", "the TLS handshake with the client failed", _CLIENT)
TLS_TIMEOUT = _row("tls_timeout", "the TLS handshake with the client took longer than header_timeout", _CLIENT)
CLIENT_CERT_REFUSED = _row(
    "client_cert_refused", "the client's certificate, or the lack of one, is not accepted", _CLIENT
)
CLIENT_CERT_REVOKED = _row("client_cert_revoked", "the client's certificate was revoked", _CLIENT)
CLIENT_CERT_EXPIRED = _row("client_cert_expired", "the client's certificate expired", _CLIENT)
CRL_EXPIRED = _row(
    "crl_expired", "the revocation list for the client's certificate expired: none is believed", _LBPROXY
)
NOT_ALLOWED = _row("not_allowed", "the client's address is not in allow", _CLIENT)
TOO_MANY_CONNECTIONS = _row("too_many_connections", "max_connections are open", _LBPROXY, 503)
TOO_MANY_FROM_ADDRESS = _row(
    "too_many_from_address", "max_connections_per_address are open from the client's address", _CLIENT, 503
)
PROXY_HEADER_MALFORMED = _row(
    "proxy_header_malformed", "no PROXY header, or a malformed one, where one is due", _CLIENT
)
PROXY_HEADER_TIMEOUT = _row("proxy_header_timeout", "the PROXY header did not arrive within header_timeout", _CLIENT)
NOT_TLS = _row("not_tls", "the first bytes are not a TLS ClientHello", _CLIENT)
HELLO_MALFORMED = _row("hello_malformed", "the TLS ClientHello is malformed or too large", _CLIENT)
HELLO_TIMEOUT = _row("hello_timeout", "the TLS ClientHello did not arrive within header_timeout", _CLIENT)
SNI_MISSING = _row("sni_missing", "the TLS ClientHello names no server", _CLIENT)
SNI_UNKNOWN = _row("sni_unknown", "the TLS ClientHello names a server that the listener does not know", _CLIENT)

# --- lbproxy itself
NO_BACKEND = _row("no_backend", "every backend is out of rotation", _BACKEND, 503)
DRAINED = _row("drained", "lbproxy is stopping; the connection was idle or its request was answered")
ADDRESS_GONE = _row(
    "address_gone", "the address that the client was connected to has moved to another host before the answer"
)
KICKED = _row("kicked", "an operator ended the connection")
SHUTDOWN = _row("shutdown", "lbproxy stopped before the answer was complete", _LBPROXY, 503)
LOCAL_RESOURCES = _row("local_resources", "no descriptor, port or memory for a lane", _LBPROXY, 503)
MINT_FAILED = _row("mint_failed", "no certificate could be minted for the user", _LBPROXY, 503)
INTERNAL = _row("internal", "a fault in lbproxy; the log has the traceback", _LBPROXY, 500)

# --- the backend, before any byte was sent: another backend is tried whatever the request is
CONNECT_REFUSED = _row("connect_refused", "the backend refused the connection", _BACKEND, 502, Counts.EJECT, True)
CONNECT_TIMEOUT = _row(
    "connect_timeout", "the backend did not accept within connect_timeout", _BACKEND, 502, Counts.EJECT, True
)
CONNECT_FAILED = _row("connect_failed", "the backend could not be reached", _BACKEND, 502, Counts.EJECT, True)
CONNECT_TLS = _row("connect_tls", "the TLS handshake with the backend failed", _BACKEND, 502, Counts.EJECT, True)

# --- the backend, after the request was sent
LANE_STALE = _row(
    "lane_stale", "a reused lane was closed before any response byte", _BACKEND, 502, Counts.SUSPECT, True
)
LANE_LOST = _row("lane_lost", "a fresh lane was closed before any response byte", _BACKEND, 502, Counts.EJECT, True)
RESPONSE_CUT_HEAD = _row(
    "response_cut_head", "the lane was closed inside the response head", _BACKEND, 502, Counts.EJECT, True
)
RESPONSE_CUT_BODY = _row("response_cut_body", "the lane was closed inside the response body", _BACKEND, 0, Counts.EJECT)
TUNNEL_CUT = _row("tunnel_cut", "the backend broke a passed or upgraded connection off", _BACKEND, 0, Counts.SUSPECT)
RESPONSE_TIMEOUT = _row("response_timeout", "no response within response_timeout", _BACKEND, 504, Counts.SUSPECT)
RESPONSE_STALLED = _row(
    "response_stalled", "the response body stood still for response_timeout", _BACKEND, 0, Counts.SUSPECT
)
RESPONSE_SLOW = _row("response_slow", "no response yet; a probe finds out why", _BACKEND, 0, Counts.SUSPECT)
BACKEND_EJECTED = _row(
    "backend_ejected", "the backend was ejected before its answer began", _BACKEND, 502, Counts.NOTHING, True
)
BACKEND_LEFT = _row("backend_left", "the backend left the pool, and drain_timeout has passed", _BACKEND, 502)
STATUS_RETRIED = _row(
    "status_retried", "the backend answered with one of retry_statuses", _BACKEND, 502, Counts.ERROR, True
)
RESPONSE_MALFORMED = _row("response_malformed", "the response head is malformed", _BACKEND, 502, Counts.ERROR)
RESPONSE_TOO_LARGE = _row(
    "response_too_large", "the response head is larger than max_header_size", _BACKEND, 502, Counts.ERROR
)
RESPONSE_BAD_BODY = _row("response_bad_body", "malformed chunk or trailer in the response", _BACKEND, 0, Counts.ERROR)
RESPONSE_UNASKED = _row(
    "response_unasked", "the backend switched protocols without being asked", _BACKEND, 502, Counts.ERROR
)
AUTH_LANE_LOST = _row(
    "auth_lane_lost", "the lane ended inside an authentication exchange; the client has to start again", _BACKEND
)
BACKEND_ERROR = _row("backend_error", "the backend answered 502, 503 or 504; passed on", _BACKEND, 0, Counts.ERROR)

# --- why a lane was closed when no request was on it
LANE_RETIRED = _row("lane_retired", "the lane was idle for idle_lane_timeout")
LANE_CLOSED = _row("lane_closed", "the backend closed an idle lane, or said that it will")
LANE_JUNK = _row("lane_junk", "bytes arrived on a lane without a request", _BACKEND)
LANE_OWNER_GONE = _row("lane_owner_gone", "the client connection that owned the private lane ended")
LANE_EJECTED = _row("lane_ejected", "its backend was ejected")
LANE_BACKEND_LEFT = _row("lane_backend_left", "its backend left the pool")
LANE_DRAINED = _row("lane_drained", "its backend is draining, or lbproxy is stopping")
