"""What the master and generations of other versions read: the names must stay."""

from __future__ import annotations

from typing import get_args

from lbproxy.process.ipc.master_messages import (
    BETWEEN_GENERATIONS,
    WITH_GENERATION,
    BetweenGenerations,
    FromGeneration,
    ToGeneration,
)
from lbproxy.process.ipc.message import Message
from lbproxy.process.ipc.messages import PROTOCOL

FIRST = {
    "needs state failed ready reload relay alive status": FromGeneration,
    "start export ping retire drain end reopen relayed reloaded": ToGeneration,
    "tally gone order": BetweenGenerations,
}
"""What the versions without a greeting knew."""


def types(union: object) -> list[type[Message]]:
    return list(get_args(union))


def test_an_old_version_is_sent_what_it_knows_and_no_more() -> None:
    for kinds, union in FIRST.items():
        assert {one.kind for one in types(union) if one.since == 1} == set(kinds.split())
    for union in FIRST.values():
        assert all(one.since <= PROTOCOL for one in types(union))


def test_every_message_can_be_written_and_read() -> None:
    WITH_GENERATION.rehearse()
    WITH_GENERATION.reverse().rehearse()
    BETWEEN_GENERATIONS.rehearse()
