from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from lbproxy.balance.member import Member
from lbproxy.control.discovery.expand import ExpandSource
from lbproxy.control.discovery.source import SourceError


async def test_every_address_is_a_member() -> None:
    """localhost has one address, or two, on every machine."""
    source = ExpandSource(Member("c", "http://localhost:4000", 3, True))
    answer = await source.look()
    infos = socket.getaddrinfo("localhost", 4000, type=socket.SOCK_STREAM)
    expected = {f"c@{info[4][0]}" for info in infos}
    assert {member.name for member in answer.members} == expected
    assert Member("c@127.0.0.1", "http://127.0.0.1:4000", 3, True) in answer.members
    assert (source.name, source.where) == ("expand:c", "http://localhost:4000")


def resolving(monkeypatch: pytest.MonkeyPatch, found: Any) -> None:
    """The host's look-up, which tests cannot change otherwise, has found this."""

    async def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        if isinstance(found, Exception):
            raise found
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)


async def test_each_address_once_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, ["::1", "10.0.0.10", "10.0.0.9", "10.0.0.9", "fe80::1%eth0"])
    answer = await ExpandSource(Member("c", "https://c.test")).look()
    assert [member.url for member in answer.members] == [
        "https://10.0.0.9:443",
        "https://10.0.0.10:443",
        "https://[::1]:443",
        "https://[fe80::1]:443",
    ]
    assert answer.members[2].name == "c@::1"


async def test_a_name_that_is_not_there_has_no_members(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, socket.gaierror(socket.EAI_NONAME, "Name or service not known"))
    assert (await ExpandSource(Member("c", "tcp://c.test:1")).look()).members == ()


async def test_a_look_up_that_fails_says_nothing_of_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"))
    with pytest.raises(SourceError, match=r"^c\.test: Temporary failure"):
        await ExpandSource(Member("c", "tcp://c.test:1")).look()
