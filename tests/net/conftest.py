"""Every test of the data path runs on uvloop, as lbproxy does, and leaves no stream open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import uvloop

from lbproxy.net.http.client import ClientConnection
from lbproxy.net.http.exchange import Exchange
from lbproxy.net.transport.poller import Handler, Poller
from lbproxy.net.transport.stream import Stream
from tests.net.listener_fixture import ListenerFixture
from tests.net.peers import Peer, tcp_pair


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def poller() -> AsyncIterator[Poller]:
    """A poller; faults that reach the loop instead of a handler fail the test."""
    loop = asyncio.get_running_loop()
    faults: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: faults.append(context))
    made = Poller(loop)
    yield made
    made.close()
    assert not faults
    assert made.streams == 0, "a stream was left open"


Open = Callable[..., tuple[Stream, Peer]]


@pytest.fixture
async def open_stream(poller: Poller) -> AsyncIterator[Open]:
    """`open_stream(handler, buffer=0)`: a plain stream that is being read, and its peer."""
    made: list[tuple[Stream, Peer]] = []

    def make(handler: Handler, buffer: int = 0) -> tuple[Stream, Peer]:
        near, far = tcp_pair(buffer)
        stream = Stream(poller, near.detach(), handler)
        stream.start()
        made.append((stream, Peer(far)))
        return made[-1]

    yield make
    for stream, peer in made:
        stream.close()
        peer.close()


Build = Callable[..., ListenerFixture]


@pytest.fixture
async def front(poller: Poller) -> AsyncIterator[Build]:
    """`front(backends=1, **options)` builds one, whose counters are looked at in the end."""
    built: list[ListenerFixture] = []

    def build(*arguments: Any, **options: Any) -> ListenerFixture:
        built.append(ListenerFixture(poller, *arguments, **options))
        return built[-1]

    yield build
    for each in built:
        await each.close()


@dataclass
class Asked:
    """How often the policy was asked where a request goes."""

    times: int = 0


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    found = Asked()
    route = ClientConnection.route

    def counted(self: ClientConnection, exchange: Exchange) -> None:
        found.times += 1
        route(self, exchange)

    monkeypatch.setattr(ClientConnection, "route", counted)
    return found
