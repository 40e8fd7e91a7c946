"""One request to a connector, with a token or without, and what the answer to a token means."""

from __future__ import annotations

import re
import ssl
import time
from base64 import b64decode, b64encode
from collections.abc import Set
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import aiohttp
from yarl import URL

from lbproxy.control.probes.attempt import describe
from lbproxy.control.probes.kerberos.failures import Failure, KerberosFailure, clock_difference
from lbproxy.control.probes.kerberos.tokens import krb_error

if TYPE_CHECKING:  # it needs an optional dependency, and the caller has it
    from lbproxy.control.probes.kerberos.credentials import Handshake, Ticket

# RFC 4559 section 4.1, in a list of challenges (RFC 9110 section 11.6.1) or alone on a line.
_NEGOTIATE = re.compile(r"(?:^|[,\s])negotiate(?:[ \t]+([A-Za-z0-9+/]+={0,2}))?[ \t]*(?:,|$)", re.IGNORECASE)

_TOLERATED = 299.0  # seconds: by custom clocks may be 5 minutes apart (RFC 4120 section 1.6); Date has no fractions

# Error numbers of RFC 4120 section 7.5.9.
_KEY_ERRORS = {
    31: "it cannot decrypt the ticket",  # KRB_AP_ERR_BAD_INTEGRITY
    35: "it has no key of this service",  # KRB_AP_ERR_NOT_US
    41: "it cannot decrypt the ticket",  # KRB_AP_ERR_MODIFIED; Windows says so of every wrong key
    44: "it has no key of this version",  # KRB_AP_ERR_BADKEYVER
    45: "it has no key of this service",  # KRB_AP_ERR_NOKEY
}
_CLOCK_ERRORS = frozenset({32, 33, 37})
"""KRB_AP_ERR_TKT_EXPIRED, _TKT_NYV (not yet valid), _SKEW: by a true clock a ticket made just now has none of them."""


@dataclass(frozen=True, slots=True)
class Page:
    """What is asked for: GET `url`, under the name `host`. A status in `success`, which has no 401, is one.

    `tls` and `server_name` are those of `HttpProbe`.
    """

    url: str
    host: str
    success: Set[int]
    tls: ssl.SSLContext | None = None
    server_name: str | None = None


async def request(session: aiohttp.ClientSession, page: Page, token: bytes | None = None) -> aiohttp.ClientResponse:
    """The head of the answer; the caller closes it. Raises KerberosFailure when there is none.

    It takes as long as the connector likes: the limit is the caller's.
    """
    headers = {"Host": page.host}
    if token is not None:
        headers["Authorization"] = f"Negotiate {b64encode(token).decode()}"
    try:
        return await session.get(
            URL(page.url, encoded=True),
            headers=headers,
            allow_redirects=False,
            ssl=page.tls or True,
            server_hostname=page.server_name,
        )
    except aiohttp.ClientError as error:
        raise _no_answer(error) from None


async def sign_in(
    session: aiohttp.ClientSession, page: Page, handshake: Handshake, ticket: Ticket
) -> aiohttp.ClientResponse:
    """The answer, which the caller closes, to a request with the token of `handshake`, made with `ticket`.

    Raises KerberosFailure unless the connector let its owner in and proved that it has the service's key.
    """
    response = await request(session, page, handshake.token)
    try:
        _judge(page, response, handshake, ticket)
    except KerberosFailure:
        response.close()
        raise
    return response


def check_anonymous(page: Page, response: aiohttp.ClientResponse) -> None:
    """Raises KerberosFailure unless a request without a token got a success, or a 401 that offers Negotiate."""
    if response.status != 401:
        _check_status(page, response)
    elif not challenges(response):
        raise KerberosFailure(Failure.NO_NEGOTIATE, "401")


def _judge(page: Page, response: aiohttp.ClientResponse, handshake: Handshake, ticket: Ticket) -> None:
    offers = challenges(response)
    reply = next((token for token in offers if token), None)
    if response.status == 401:
        raise _refusal(response, reply, ticket) if offers else KerberosFailure(Failure.NO_NEGOTIATE, "401")
    _check_status(page, response)
    if reply is None:
        raise KerberosFailure(Failure.MUTUAL_MISSING, f"{response.status} without a Negotiate token")
    handshake.verify(reply)


def _check_status(page: Page, response: aiohttp.ClientResponse) -> None:
    if response.status not in page.success:
        expected = " or ".join(map(str, sorted(page.success)))
        raise KerberosFailure(Failure.STATUS, f"{response.status}, expected {expected}")


def challenges(response: aiohttp.ClientResponse) -> list[bytes]:
    """The token of each Negotiate challenge, empty for a plain offer; no element, no offer."""
    lines = response.headers.getall("WWW-Authenticate", [])
    return [_decoded(match[1] or "") for line in lines for match in _NEGOTIATE.finditer(line)]


def _decoded(token: str) -> bytes:
    try:
        return b64decode(token, validate=True)
    except ValueError:
        return b"?"  # no mechanism takes it for anything


def _refusal(response: aiohttp.ClientResponse, reply: bytes | None, ticket: Ticket) -> KerberosFailure:
    """What a 401 to a good ticket means.

    MIT and Windows send a KRB-ERROR back, others nothing. Then a clock that is far off is the reason, and otherwise
    the key: of a ticket that was made a moment ago nothing else can be wrong.
    """
    error = krb_error(reply) if reply else None
    ahead = _clock_ahead(error.time if error and error.time else _date(response), ticket)
    if error is None and abs(ahead) < _TOLERATED:
        return KerberosFailure(Failure.KEY, f"401{_version(ticket)}")
    if error is None or error.code in _CLOCK_ERRORS:
        return KerberosFailure(Failure.SKEW, f"it is {clock_difference(ahead)} the KDC's")
    if error.code in _KEY_ERRORS:
        return KerberosFailure(Failure.KEY, f"{_KEY_ERRORS[error.code]}{_version(ticket)}")
    return KerberosFailure(Failure.REFUSED, f"Kerberos error {error.code}")


def _version(ticket: Ticket) -> str:
    return f"; the ticket has {ticket.key}" if str(ticket.key) else ""


def _clock_ahead(theirs: float | None, ticket: Ticket) -> float:
    """By how many seconds the connector's clock is ahead of the KDC's; 0 when it is not known."""
    return 0.0 if theirs is None else theirs - (time.time() + ticket.skew)


def _date(response: aiohttp.ClientResponse) -> float | None:
    try:
        return parsedate_to_datetime(response.headers.get("Date", "")).timestamp()
    except ValueError:
        return None


def _no_answer(error: aiohttp.ClientError) -> KerberosFailure:
    match error:
        case aiohttp.ClientConnectorCertificateError(certificate_error=OSError() as cause):
            return KerberosFailure(Failure.UNREACHABLE, describe(cause))
        case aiohttp.ClientConnectorError(os_error=cause):
            return KerberosFailure(Failure.UNREACHABLE, describe(cause))
        case aiohttp.ServerDisconnectedError():
            return KerberosFailure(Failure.BROKEN, "it closed the connection without an answer")
        case OSError():
            return KerberosFailure(Failure.BROKEN, describe(error))
    # Its message quotes the connector's bytes, which have no business on a terminal.
    return KerberosFailure(Failure.BROKEN, "the answer is not HTTP")
