"""Names become addresses, and are asked again."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import Any

import pytest

from lbproxy.control.discovery import resolver as resolver_module
from lbproxy.control.discovery.resolver import Resolver
from tests.net.peers import until


class Addresses:
    """What the resolver found, and an event for each time."""

    def __init__(self) -> None:
        self.found: list[tuple[str, object]] = []

    def __call__(self, name: str, family: socket.AddressFamily, address: tuple[object, ...]) -> None:
        self.found.append((name, address[:2]))


async def test_literal_addresses_are_known_after_start() -> None:
    addresses = Addresses()
    resolver = Resolver({"a": ("127.0.0.1", 4000), "b": ("::1", 4001)}, addresses)
    await resolver.start()
    assert sorted(addresses.found) == [("a", ("127.0.0.1", 4000)), ("b", ("::1", 4001))]
    await resolver.stop()


async def test_a_name_is_resolved_again_and_told_only_when_it_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's resolver is the one thing that is replaced: its answers cannot be moved from here."""
    answers = ["10.0.0.1", "10.0.0.1", "10.0.0.2"]
    asked = asyncio.Event()

    async def getaddrinfo(host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if len(answers) == 1:
            asked.set()
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (answer, port))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    addresses = Addresses()
    resolver = Resolver({"a": ("connector.test", 4000)}, addresses, interval=0.01)
    await resolver.start()
    while len(addresses.found) < 2:
        await asked.wait()
        await asyncio.sleep(0)
    assert addresses.found == [("a", ("10.0.0.1", 4000)), ("a", ("10.0.0.2", 4000))]
    await resolver.stop()


async def test_of_several_addresses_it_is_the_one_that_accepts(monkeypatch: pytest.MonkeyPatch) -> None:
    """As localhost is on many machines; the first one while none accepts, but not for long."""

    async def getaddrinfo(host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        v6 = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0))
        return [v6, (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(resolver_module, "SOON", 0.05)
    addresses = Addresses()
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        resolver = Resolver({"a": ("localhost.test", port)}, addresses)
        await resolver.start()
        assert addresses.found == [("a", ("::1", port))]
        server.listen()
        await until(lambda: addresses.found[1:])
    await resolver._resolve({"a": ("localhost.test", port)})
    await resolver.stop()
    assert addresses.found[1:] == [("a", ("127.0.0.1", port))], "which it keeps while none accepts"


async def test_a_name_without_an_address_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    addresses = Addresses()
    resolver = Resolver({"a": ("no-such-host.invalid", 4000)}, addresses)
    with caplog.at_level(logging.ERROR):
        await resolver.start()
        await resolver._resolve({"a": ("no-such-host.invalid", 4000)})
    assert not addresses.found
    assert [record.getMessage() for record in caplog.records] == ["backend_unresolved"]
    assert "1 failing" in repr(resolver)
    await resolver.stop()


async def test_one_that_leaves_while_its_addresses_are_tried_does_not_end_the_look_ups(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried, gone, asked = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def getaddrinfo(host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        if host == "stays.test" and gone.is_set():
            asked.set()
        hosts = ("10.0.0.1", "10.0.0.2") if host == "leaves.test" else ("10.0.0.3",)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in hosts]

    async def connect(addresses: object, greeting: bytes) -> socket.socket:
        tried.set()
        await gone.wait()
        raise ConnectionRefusedError

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(resolver_module, "connect_any", connect)
    addresses = Addresses()
    resolver = Resolver({"b": ("stays.test", 4000)}, addresses, interval=0.01)
    monkeypatch.setattr(resolver_module, "SOON", 5.0)
    await resolver.start()
    resolver.add("a", "leaves.test", 4000)
    await tried.wait()
    monkeypatch.setattr(resolver_module, "SOON", 0.001)
    resolver.remove("a")
    gone.set()
    async with asyncio.timeout(60):
        for _ in range(3):
            asked.clear()
            await asked.wait()
    assert addresses.found == [("b", ("10.0.0.3", 4000))]
    await resolver.stop()
