"""What a generation, its forker and its workers say arrives as it was said."""

from __future__ import annotations

import socket

import pytest

from lbproxy.auth.mint import MintedRecord
from lbproxy.balance.backend import Backend
from lbproxy.balance.condition import read
from lbproxy.balance.member import Member
from lbproxy.process.ipc.messages import encode
from lbproxy.process.ipc.worker_messages import WITH_FORKER, WITH_WORKER, Address, Members, Minted, ToWorker

RECORD: MintedRecord = {"ca": "aa", "user": "bb", "certificate": "c", "key": "k", "expires": 1.5, "renewal": 1}


@pytest.mark.parametrize(
    "message",
    [
        Members(True, ["p/a"], {"p/b": Member("b", "http://b", 3)}, {"p/b": read(Backend("b", "http://b"), 1.5)}),
        Address("p/a", "http://a", socket.AF_INET6, ("::1", 80, 0, 0)),
        Address("p/a", "http://a", socket.AF_UNIX, ("/run/a.sock",)),
        Minted("login", [RECORD]),
    ],
)
def test_values_are_of_their_types_again(message: ToWorker) -> None:
    assert WITH_WORKER.reverse().decode(encode(message)) == message


def test_every_message_can_be_written_and_read() -> None:
    for conversation in (WITH_FORKER, WITH_WORKER):
        conversation.rehearse()
        conversation.reverse().rehearse()
