"""One attempt of a probe: within its time, and with every failure put into words."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
import time
from collections.abc import Coroutine

import aiohttp

from lbproxy.control.probes import ProbeResult


async def attempt(check: Coroutine[object, object, tuple[bool, str]], within: float) -> ProbeResult:
    """Run `check`, which returns (ok, detail) or raises OSError, for at most `within` seconds."""
    started = time.perf_counter()
    limit = asyncio.timeout(within)
    try:
        async with limit:
            ok, detail = await check
    except OSError as error:  # TimeoutError is one: the limit's, or the kernel's ETIMEDOUT
        ok, detail = False, f"timed out after {within} s" if limit.expired() else describe(error)
    return ProbeResult(ok, detail, time.perf_counter() - started)


def describe(error: OSError) -> str:
    """What went wrong, in a few words for an administrator."""
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


def no_answer(error: aiohttp.ClientError) -> str:
    """Why an HTTP request has no answer, in the same way."""
    match error:
        case aiohttp.ClientConnectorCertificateError(certificate_error=OSError() as cause):
            return describe(cause)
        case aiohttp.ClientConnectorError(os_error=cause):
            return describe(cause)
        case aiohttp.ServerDisconnectedError():
            return "closed the connection without an answer"
        case aiohttp.ClientPayloadError():
            return "the answer was cut short"
        case OSError():
            return describe(error)
    # Its message quotes the backend's bytes, which have no business on a terminal.
    return "the answer is not HTTP"
