"""Answers that change what follows: upgrades, challenges, the last one."""

from __future__ import annotations

import pytest

from lbproxy import reasons
from tests.net.dialogue import answer, forwarded, play, request
from tests.net.http.conftest import Converse
from tests.net.http.scenes import CLOSE, SENT, SWITCHED, UPGRADE

# --- upgrades


async def test_an_upgrade_becomes_a_tunnel(converse: Converse) -> None:
    dialogue = converse()
    await dialogue.client.send(request(b"GET /x", *UPGRADE))
    await dialogue.backend.sees(forwarded(b"GET /x", *UPGRADE))
    await dialogue.backend.send(SWITCHED + b"first words")
    await dialogue.client.sees(SWITCHED)
    await dialogue.told("tunnel_opened", b"first words")
    assert dialogue.policy.tunnel == (dialogue.lanes[0], b"first words")
    assert dialogue.exchange.link is None
    dialogue.exchange.tunnel_closed(reasons.TUNNEL_DONE)
    assert dialogue.ends == [reasons.TUNNEL_DONE]
    assert dialogue.exchange.status == 101
    assert dialogue.exchange.bytes_in == dialogue.exchange.client.received


async def test_an_upgrade_that_is_not_taken_is_a_request(converse: Converse) -> None:
    dialogue = converse()
    await dialogue.client.send(request(b"GET /x", *UPGRADE))
    await dialogue.backend.sees(forwarded(b"GET /x", *UPGRADE))
    await dialogue.backend.send(answer(b"no"))
    await dialogue.client.sees(answer(b"no"))
    await dialogue.told("finished", reasons.DONE, True)


# --- the policy sees the heads that it has to


@pytest.mark.parametrize(
    ("lines", "watch", "expected"),
    [
        ((), False, []),
        ((), True, [("answering", 401)]),
        ((b"WWW-Authenticate: Basic",), False, []),
        ((b"WWW-Authenticate: Negotiate",), False, [("answering", 401)]),
    ],
)
async def test_challenges_are_told(
    converse: Converse, lines: tuple[bytes, ...], watch: bool, expected: list[tuple[object, ...]]
) -> None:
    dialogue = converse()
    dialogue.exchange.watch = watch
    reply = answer(b"", *lines, status=b"401 Unauthorized")
    await play(dialogue, [*SENT, ("B>", reply), (">C", reply)])
    assert dialogue.told_of("answering") == expected


async def test_the_policy_may_end_the_connection_with_an_answer(converse: Converse) -> None:
    dialogue = converse()
    await play(dialogue, SENT)
    dialogue.exchange.closes = True
    await dialogue.backend.send(answer(b"last"))
    await dialogue.client.sees(answer(b"last", CLOSE))
    assert await dialogue.client.rest() == b""
