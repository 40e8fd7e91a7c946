"""lbproxy answers itself."""

from __future__ import annotations

import pytest

from lbproxy import reasons
from lbproxy.reasons import Reason
from tests.net.dialogue import MAX_HEAD, forwarded, play, refusal, request
from tests.net.http.conftest import Converse
from tests.net.http.scenes import A_GET, CHUNKED, CLOSE
from tests.net.peers import until

REFUSALS: dict[str, tuple[bytes, Reason, bool]] = {
    "another host": (b"GET / HTTP/1.1\r\nHost: b.example\r\n\r\n", reasons.MISDIRECTED, True),
    "a denied path": (request(b"GET /denied"), reasons.DENIED_PATH, True),
    "below a denied path": (request(b"GET /denied/x?y"), reasons.DENIED_PATH, True),
    "another host, close": (b"GET / HTTP/1.1\r\nHost: b.example\r\n" + CLOSE + b"\r\n\r\n", reasons.MISDIRECTED, False),
    "another host, with a body": (
        b"POST / HTTP/1.1\r\nHost: b.example\r\nContent-Length: 5\r\n\r\nhe",
        reasons.MISDIRECTED,
        False,
    ),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", reasons.BAD_HOST, False),
    "not HTTP": (b"\x16\x03\x01", reasons.NOT_HTTP, False),
    "too large": (request(b"GET /", b"X: " + b"x" * MAX_HEAD), reasons.HEAD_TOO_LARGE, False),
    "smuggling": (request(b"POST /", CHUNKED, b"Content-Length: 5"), reasons.LENGTH_AND_CHUNKED, False),
    "tunnel": (b"CONNECT a.test:443 HTTP/1.1\r\nHost: a.test\r\n\r\n", reasons.METHOD_REFUSED, False),
}


@pytest.mark.parametrize("name", REFUSALS)
async def test_refuses(converse: Converse, name: str) -> None:
    sent, reason, keep = REFUSALS[name]
    dialogue = converse()
    await dialogue.client.send(sent)
    await dialogue.client.sees(refusal(reason, keep))
    if keep:
        await play(dialogue, A_GET)
        await until(lambda: dialogue.ends == [reason, reasons.DONE])
    else:
        dialogue.client.finish()
        assert await dialogue.client.rest() == b""
        await dialogue.told("closed")
        assert dialogue.ends == [reason]


async def test_a_host_that_is_good_on_one_connection_is_not_for_that_on_another(converse: Converse) -> None:
    """The Host that was accepted last is remembered for all connections, with the name that they were made for."""
    names = ("a.test", "b.test", None, "a.test")
    dialogues = [converse() for _ in names]
    for dialogue, name in zip(dialogues, names, strict=True):
        dialogue.exchange.identify(name, b"")
    for host in (b"a.test", b"b.test", b"A.test", b"a.test", b"c.example"):
        for dialogue, name in zip(dialogues, names, strict=True):
            await dialogue.client.send(b"GET /denied HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")
            good = host.endswith(b".test") and name in (None, host.decode().lower())
            await dialogue.client.sees(refusal(reasons.DENIED_PATH if good else reasons.MISDIRECTED, keep=True))


async def test_a_refused_body_does_not_reset_the_answer(converse: Converse) -> None:
    dialogue = converse()
    await dialogue.client.send(b"POST / HTTP/1.1\r\nHost: b.example\r\nContent-Length: 4000000\r\n\r\n")
    await dialogue.client.send(b"x" * 4_000_000)
    dialogue.client.finish()
    assert await dialogue.client.rest() == refusal(reasons.MISDIRECTED)


async def test_refusals_are_pipelined_too(converse: Converse) -> None:
    dialogue = converse()
    await dialogue.client.send(request(b"GET /denied") * 300 + request())
    await dialogue.client.sees(refusal(reasons.DENIED_PATH, keep=True) * 300)
    await dialogue.backend.sees(forwarded())


async def test_no_backend(converse: Converse) -> None:
    dialogue = converse()
    dialogue.policy.free.clear()
    await dialogue.client.send(request())
    await dialogue.client.sees(refusal(reasons.NO_BACKEND, keep=True))
