"""The client connections of a data path: found when an operator asks, and ended one by one.

Nothing is kept for it. A question walks through the connections in slices, and other work is done between them.
"""

from __future__ import annotations

import asyncio
import heapq
import os
from collections.abc import AsyncIterator, Callable, Iterator
from ipaddress import ip_address, ip_network

from lbproxy import reasons
from lbproxy.balance import full_name
from lbproxy.control.live_connections import SLICE, ConnectionQuery, ConnectionsView, ConnectionView, LaneView, Phase
from lbproxy.net.http.client import ClientConnection
from lbproxy.net.http.phases import Phase as ExchangePhase
from lbproxy.net.passthrough.connection import PassthroughConnection
from lbproxy.net.transport.poller import monotonic
from lbproxy.net.upstream.lane import Lane
from lbproxy.runtime.data_path import DataPath

_PHASES: dict[ExchangePhase, Phase] = {
    ExchangePhase.IDLE: "idle",
    ExchangePhase.WAITING: "waiting",
    ExchangePhase.SENT: "sent",
    ExchangePhase.ANSWERING: "answering",
    ExchangePhase.UPLOADING: "uploading",
    ExchangePhase.ENDED: "closing",
}

_Connection = ClientConnection | PassthroughConnection
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


async def find(data_path: DataPath, query: ConnectionQuery) -> ConnectionsView:
    """Those that match `query`."""
    wanted = _matcher(query)
    found: list[tuple[float, int, _Connection]] = []
    async for connection in _walk(data_path):
        if wanted(connection):
            found.append((connection.since, len(found), connection))
    choose = heapq.nlargest if query.newest else heapq.nsmallest
    views: list[ConnectionView] = []
    for at, (_, _, connection) in enumerate(choose(query.limit, found), 1):
        if not connection.stream.closed:
            views.append(_view(connection))
        if at % SLICE == 0:
            await asyncio.sleep(0)
    everything = data_path.connections
    begun = sum(1 for one in _begun(data_path))
    return {
        "open": everything,
        "handshakes": everything - begun,
        "matched": len(found),
        "unanswered": 0,
        "connections": views,
    }


async def kick(data_path: DataPath, identity: str) -> ConnectionView | None:
    """End the one with this id: how it was then. None: there is no such one, any more."""
    async for connection in _walk(data_path):
        if _identity(connection) == identity:
            view = _view(connection)
            connection.stop(reasons.KICKED)
            return view
    return None


def _begun(data_path: DataPath) -> Iterator[_Connection]:
    for listener in data_path.listeners.values():
        for connection in listener.connections:
            if isinstance(connection, ClientConnection | PassthroughConnection):
                yield connection


async def _walk(data_path: DataPath) -> AsyncIterator[_Connection]:
    """Those that are open now. One that ends meanwhile is left out; one that comes meanwhile, too."""
    for at, connection in enumerate(tuple(_begun(data_path)), 1):
        if not connection.stream.closed:
            yield connection
        if at % SLICE == 0:
            await asyncio.sleep(0)


def _matcher(query: ConnectionQuery) -> Callable[[_Connection], bool]:
    tests: list[Callable[[_Connection], bool]] = []
    if query.pool:
        tests.append(lambda one: _pool(one) == query.pool)
    if query.backend:
        pool, name = full_name.split(query.backend)
        tests.append(lambda one: pool in ("", _pool(one)) and any(lane.backend.name == name for lane in one.lanes))
    if query.user:
        part = query.user.casefold()
        tests.append(lambda one: part in _user(one).casefold())
    if query.address:
        network = ip_network(query.address, strict=False)
        tests.append(lambda one: bool(one.peer.host) and ip_address(one.peer.host) in network)
    return lambda one: all(test(one) for test in tests)


def _pool(connection: _Connection) -> str:
    pool = connection.service.pool if isinstance(connection, ClientConnection) else connection.pool
    return "" if pool is None else pool.name


def _user(connection: _Connection) -> str:
    """The subject of its certificate."""
    certificate = connection.certificate if isinstance(connection, ClientConnection) else None
    return "" if certificate is None else certificate.subject


def _identity(connection: _Connection) -> str:
    """Of no other connection: one has the descriptor at a time, and no two begin in the same microsecond with one."""
    return f"{os.getpid()}-{connection.stream.fd}-{_base36(int(connection.since * 1e6))}"


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits


def _view(connection: _Connection) -> ConnectionView:
    now = monotonic()
    stream, lanes = connection.stream, connection.lanes
    phase, busy_since, requests = _progress(connection)
    return {
        "id": _identity(connection),
        "listener": connection.listener.name,
        "pool": _pool(connection),
        "address": connection.peer.name,
        "user": _user(connection),
        "age_seconds": now - connection.since,
        "phase": phase,
        "busy_seconds": now - busy_since if busy_since else None,
        "requests": requests,
        "bytes_in": stream.received,
        "bytes_out": stream.sent,
        "lanes": [_lane(lane) for lane in lanes],
    }


def _progress(connection: _Connection) -> tuple[Phase, float, int]:
    """What it waits for, since when its request is under way (0: there is none), and how many it had."""
    if isinstance(connection, PassthroughConnection):
        passed = connection.phase
        return passed, connection.since, int(passed == "tunnel")
    exchange = connection.exchange
    if connection.tunnel is not None:
        return "tunnel", exchange.started, exchange.requests
    phase = _PHASES[ExchangePhase(exchange.phase)]
    return phase, 0.0 if phase in ("idle", "closing") else exchange.started, exchange.requests


def _lane(lane: Lane) -> LaneView:
    return {"backend": lane.backend.name, "private": lane.private, "requests": lane.served}
