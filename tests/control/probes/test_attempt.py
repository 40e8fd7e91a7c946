from __future__ import annotations

import asyncio
import errno
import socket
import ssl

import pytest

from lbproxy.control.probes.attempt import attempt, describe


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
