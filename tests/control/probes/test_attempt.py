from __future__ import annotations

import asyncio
import errno
import socket
import ssl

import aiohttp
import pytest

from lbproxy.control.probes.attempt import HungUpError, attempt, describe, no_answer


async def test_a_result_is_passed_on_with_the_time_it_took() -> None:
    async def check() -> tuple[bool, str]:
        await asyncio.sleep(0)
        return True, "fine"

    result = await attempt(check(), within=10)
    assert (result.ok, result.detail) == (True, "fine")
    assert 0 < result.took < 10


async def test_ends_when_its_time_is_over() -> None:
    async def check() -> tuple[bool, str]:
        await asyncio.Event().wait()
        raise AssertionError

    result = await attempt(check(), within=0.01)
    assert (result.ok, result.detail) == (False, "timed out after 0.01 s")
    assert result.took >= 0.01


async def test_the_kernels_own_timeout_is_told_apart() -> None:
    async def check() -> tuple[bool, str]:
        raise TimeoutError(errno.ETIMEDOUT, "Connect call failed ('10.0.0.1', 80)")

    assert (await attempt(check(), within=10)).detail == "connection timed out"


async def test_a_cancelled_attempt_is_no_result() -> None:
    task = asyncio.create_task(attempt(asyncio.Event().wait(), within=10))  # type: ignore[arg-type]  # never returns
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def tls_error(reason: str | None, text: str) -> ssl.SSLError:
    error = ssl.SSLError(1, text)
    error.reason = reason  # type: ignore[assignment]  # it is None for errors that Python itself raises
    return error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed ('::1', 1)"), "connection refused"),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), "connection reset by peer"),
        (ConnectionResetError(), "connection reset by peer"),
        (OSError(errno.EHOSTUNREACH, "x"), "no route to host"),
        (OSError("Multiple exceptions: a, b"), "Multiple exceptions: a, b"),
        (
            socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
            "cannot resolve the name: Name or service not known",
        ),
        (tls_error("WRONG_VERSION_NUMBER", "x"), "TLS failed: wrong version number"),
        (tls_error(None, "EOF occurred"), "TLS failed: eof occurred"),
    ],
)
def test_failures_in_words(error: OSError, words: str) -> None:
    assert describe(error) == words


# --- a certificate that was shown, and may have been refused

QUESTION = "does it trust us?"


@pytest.mark.parametrize(
    ("error", "asked"),
    [
        (tls_error("TLSV1_ALERT_UNKNOWN_CA", "x"), True),
        (tls_error("TLSV13_ALERT_CERTIFICATE_REQUIRED", "x"), True),
        (ConnectionResetError(errno.ECONNRESET, "x"), True),
        (HungUpError("closed the connection after the handshake"), True),
        (tls_error("TLSV1_UNRECOGNIZED_NAME", "x"), False),
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), False),
        (socket.gaierror(socket.EAI_NONAME, "x"), False),
        (OSError(errno.EHOSTUNREACH, "x"), False),
    ],
)
def test_the_question_is_asked_where_the_backend_may_have_refused(error: OSError, asked: bool) -> None:
    assert describe(error, QUESTION).endswith(f"; {QUESTION}") is asked
    assert not describe(error).endswith(QUESTION)


async def test_a_failed_attempt_asks_it_too() -> None:
    async def check() -> tuple[bool, str]:
        raise HungUpError("closed the connection without an answer")

    detail = (await attempt(check(), 10, QUESTION)).detail
    assert detail == f"closed the connection without an answer; {QUESTION}"


def test_an_error_of_tls_inside_aiohttps_has_its_own_words() -> None:
    """Its number is that of OpenSSL's error, 1, which would be read as EPERM."""
    error = aiohttp.ClientOSError(1, "[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] ...")
    error.__cause__ = tls_error("TLSV13_ALERT_CERTIFICATE_REQUIRED", "x")
    assert no_answer(error) == "TLS failed: tlsv13 alert certificate required"
    assert no_answer(error, QUESTION) == f"TLS failed: tlsv13 alert certificate required; {QUESTION}"
    assert no_answer(aiohttp.ServerDisconnectedError(), QUESTION).endswith(QUESTION)
