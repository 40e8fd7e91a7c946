"""One attempt of a probe: within its time, and with every failure put into words."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
import time
from collections.abc import Coroutine
from typing import TYPE_CHECKING

from lbproxy.control.probes import ProbeResult

if TYPE_CHECKING:
    import aiohttp

_REFUSALS = frozenset(
    {
        "SSLV3_ALERT_BAD_CERTIFICATE",
        "SSLV3_ALERT_CERTIFICATE_EXPIRED",
        "SSLV3_ALERT_CERTIFICATE_REVOKED",
        "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
        "SSLV3_ALERT_HANDSHAKE_FAILURE",  # TLS 1.2 without a certificate
        "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
        "TLSV13_ALERT_CERTIFICATE_REQUIRED",
        "TLSV1_ALERT_ACCESS_DENIED",
        "TLSV1_ALERT_DECRYPT_ERROR",
        "TLSV1_ALERT_UNKNOWN_CA",
    }
)
"""OpenSSL's names of the alerts by which a server refuses the certificate of a client (RFC 8446 section 6.2)."""


class HungUpError(OSError):
    """The peer has closed the connection before it said anything; the text says when."""


async def attempt(check: Coroutine[object, object, tuple[bool, str]], within: float, question: str = "") -> ProbeResult:
    """Run `check`, which returns (ok, detail) or raises OSError, for at most `within` seconds.

    question: see `describe`.
    """
    started = time.perf_counter()
    limit = asyncio.timeout(within)
    try:
        async with limit:
            ok, detail = await check
    except OSError as error:  # TimeoutError is one: the limit's, or the kernel's ETIMEDOUT
        ok, detail = False, f"timed out after {within} s" if limit.expired() else describe(error, question)
    return ProbeResult(ok, detail, time.perf_counter() - started)


def describe(error: OSError, question: str = "") -> str:
    """What went wrong, in a few words for an administrator.

    question: what to ask where it may be that the peer has refused the certificate that was shown.
    """
    if isinstance(error.__cause__, ssl.SSLError):  # aiohttp's error has its number, which is none of errno's
        error = error.__cause__
    words = _words(error)
    return f"{words}; {question}" if question and is_refusal(error) else words


def is_refusal(error: OSError) -> bool:
    """Whether the peer may have refused our certificate: by an alert, or, as Node.js, by an end without a word."""
    if isinstance(error, ssl.SSLError):
        return error.reason in _REFUSALS
    return isinstance(error, HungUpError | ConnectionResetError | BrokenPipeError)


def _words(error: OSError) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            return f"certificate refused: {error.verify_message}"
        case ssl.SSLError():
            return f"TLS failed: {(error.reason or str(error)).replace('_', ' ').lower()}"
        case socket.gaierror():
            return f"cannot resolve the name: {error.strerror}"
    # The text of asyncio's own errors names the address instead; a reset in a TLS handshake has no number.
    number = errno.ECONNRESET if isinstance(error, ConnectionResetError) else error.errno
    return os.strerror(number).lower() if number else str(error)


def no_answer(error: aiohttp.ClientError, question: str = "") -> str:
    """Why an HTTP request has no answer, in the same way."""
    import aiohttp  # which has made the error: most probes do without

    match error:
        case aiohttp.ClientConnectorCertificateError(certificate_error=OSError() as cause):
            return describe(cause, question)
        case aiohttp.ClientConnectorError(os_error=cause):
            return describe(cause, question)
        case aiohttp.ServerDisconnectedError():
            return describe(HungUpError("closed the connection without an answer"), question)
        case aiohttp.ClientPayloadError():
            return "the answer was cut short"
        case OSError():
            return describe(error, question)
    # Its message quotes the backend's bytes, which have no business on a terminal.
    return "the answer is not HTTP"
