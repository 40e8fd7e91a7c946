"""The data path of one process: listeners and lanes over a model, on one event loop. No control plane.

`DataPath` is made from a validated configuration and the listening sockets, and is driven by a coarse clock.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from lbproxy import reasons
from lbproxy.balance.backend import Backend
from lbproxy.balance.feed import Observer
from lbproxy.balance.health import Change
from lbproxy.balance.pool import Pool
from lbproxy.config import Config
from lbproxy.control.changes import Changes
from lbproxy.control.tracing import Traces
from lbproxy.net.http.client import ClientConnection
from lbproxy.net.http.web import WebService, recheck
from lbproxy.net.passthrough.connection import PassthroughConnection
from lbproxy.net.transport import syn_hold
from lbproxy.net.transport.poller import Poller
from lbproxy.reasons import Reason
from lbproxy.record import Record
from lbproxy.runtime.build_data_path import Assembly
from lbproxy.runtime.departures import Departures, Leaving
from lbproxy.runtime.lane_tls import LaneTls
from lbproxy.runtime.model import Model

PATIENCE = 0.5
"""Of drain_timeout: how long idle connections have to ask once more, where another process accepts new ones.

Closed at once, one that is just sending would be cut off, and its request lost (RFC 9112 section 9.6).
"""

HOLD_PATIENCE = 0.3
"""Seconds that idle connections have to ask once more when their address is about to move to another host."""

TICKS_A_REFRESH = 10
"""Certificates' files, and the clients that are connected by one, are looked at once a second."""


class DataPath(Observer):
    """`listeners` by name, and the `model` whose backends they forward to; `pools` and `mints` are the model's.

    `lane_ends` counts how lanes ended, by the reason's label. `traces` has the requests that were sampled, until they
    are handed over.
    """

    def __init__(
        self,
        config: Config,
        sockets: Mapping[str, socket.socket],
        log: Callable[[Record], None],
        logs: bool,
        secrets: Sequence[bytes] = (),
    ) -> None:
        """secrets: see `ServerTls`. Call it on the running loop.

        Raises StartError when a certificate or key cannot be used.
        """
        self._loop = asyncio.get_running_loop()
        self.poller = Poller(self._loop)
        self.lane_ends: dict[str, int] = {}
        lane_tls = LaneTls(config)
        self.model = Model(config, lane_tls.refuse)
        self.pools, self.mints = self.model.pools, self.model.mints
        self.traces = Traces()
        logged, traced, empty = log if logs else None, self.traces.put, self._one_empty
        assembly = self._assembly = Assembly(
            config, self.model, lane_tls, self.poller, self.lane_ends, logged, traced, empty, secrets
        )
        self._departures = Departures(config.drain_timeout)
        self.listeners = {name: assembly.listener(name, sockets[name]) for name in config.listeners}
        for pool in self.pools.values():
            pool.observers.append(self)
        self.model.on_tick.append(self._tick)
        self._ticks = 0
        self._gone = Changes()
        self._held: set[str] = set()
        self._hold_timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<data path, {self.connections} connections, {self.poller.streams} streams>"

    @property
    def connections(self) -> int:
        """Client connections that are open."""
        return sum(len(listener.connections) for listener in self.listeners.values())

    def keep_time(self) -> None:
        """Look at deadlines, ramps and files from now on."""
        self.model.keep_time()

    def start(self) -> None:
        """Accept from now on."""
        self.keep_time()
        for listener in self.listeners.values():
            syn_hold.release(listener.socket)  # a hold of a process that has died outlives it
            listener.start()

    def seal(self, secrets: Sequence[bytes]) -> None:
        """Seal the session tickets of clients with the first of `secrets`, and open those of all: see `ServerTls`."""
        self._assembly.seal(secrets)

    def hold(self, names: Iterable[str]) -> None:
        """The addresses of these listeners are about to move: new connections wait, and open ones finish.

        Each gets one more answer; one that is idle after HOLD_PATIENCE ends.
        """
        self._held = set(names)
        for name in self._held:
            self.listeners[name].hold()
        self._hold_timer = self._loop.call_later(HOLD_PATIENCE, self._finish_idle)

    def _finish_idle(self) -> None:
        for name in self._held:
            self.listeners[name].finish_idle()

    def release(self, gone: Collection[str]) -> None:
        """End a `hold`, of an earlier process too; cut the connections of listeners whose address is `gone` from us."""
        if self._hold_timer is not None:
            self._hold_timer.cancel()
        for name, listener in self.listeners.items():
            listener.release(reasons.ADDRESS_GONE if name in gone else None)
        self._held = set()

    def retire(self) -> None:
        """Accept no more. Open connections get one more answer."""
        for listener in self.listeners.values():
            listener.retire()

    async def drain(self, within: float | None = None) -> bool:
        """Accept no more, let requests finish, at most `within` seconds; False when some were cut."""
        for listener in self.listeners.values():
            listener.drain()
        return await self.emptied(within)

    async def emptied(self, within: float | None = None) -> bool:
        """Wait until no connection is open, at most `within` seconds; whether that is so."""
        return await self._gone.until(lambda: not self.connections, within)

    def stop(self) -> None:
        """End everything that is still open, now."""
        for listener in self.listeners.values():
            listener.stop(reasons.SHUTDOWN)
        for backend in (*self.backends(), *self._departures.backends):
            backend.lanes.close_idle(reasons.LANE_DRAINED)
        self.model.stop()
        self.traces.stop()
        if self._hold_timer is not None:
            self._hold_timer.cancel()
        self.poller.close()

    def left_on(self) -> dict[str, int]:
        """Requests that are still on backends which have left their pool, by POOL/NAME: see `Departures.left`."""
        return dict(self._departures.left())

    def backends(self) -> list[Backend]:
        """All backends of all pools."""
        return [backend for pool in self.pools.values() for backend in pool.backends]

    def resolved(self, pool: Pool, backend: Backend, family: socket.AddressFamily, address: tuple[object, ...]) -> None:
        """`backend` has this address: lanes are opened to it from now on."""
        backend.lanes.address = (family, address)

    def _tick(self, now: float) -> None:
        self.poller.tick()
        self._ticks += 1
        if self._ticks % TICKS_A_REFRESH == 0:
            self._refresh()

    def _refresh(self) -> None:
        """Look again at certificates and revocation lists, at the clients that use them, and at draining backends."""
        for files in self._assembly.files():
            files.refresh()
        for listener in self.listeners.values():
            if isinstance(listener.service, WebService):
                recheck(listener.connections)
        for backend in self.backends():
            if not backend.takes_work:
                backend.lanes.close_idle(reasons.LANE_DRAINED)
                self._leave(backend)
        if self._departures:
            for backend in self._departures.backends:
                self._leave(backend)
            self._departures.tick(self.poller.now, self._clients())

    def _leave(self, backend: Backend) -> None:
        """It gets no new work: clients whose requests follow it go elsewhere as soon as they can."""
        for client in self._web_clients():
            client.draining(backend)

    def _clients(self) -> list[Leaving]:
        kinds = (ClientConnection, PassthroughConnection)
        connections = (client for listener in self.listeners.values() for client in listener.connections)
        return [client for client in connections if isinstance(client, kinds)]

    def _web_clients(self) -> list[ClientConnection]:
        connections = (client for listener in self.listeners.values() for client in listener.connections)
        return [client for client in connections if isinstance(client, ClientConnection)]

    def joined(self, pool: Pool, backend: Backend) -> None:
        """See `Observer`."""
        self._assembly.equip(pool.name, backend)

    def left(self, pool: Pool, backend: Backend) -> None:
        """See `Observer`."""
        self._departures.add(pool.name, backend, self.poller.now)
        self._loop.call_soon(self._leave, backend)  # later, as below

    def changed(self, pool: Pool, backend: Backend, change: Change | None, reason: Reason | None, detail: str) -> None:
        """See `Observer`."""
        if change is Change.EJECT:
            backend.lanes.close_idle(reasons.LANE_EJECTED)
            # Later: the caller is in the middle of something.
            self._loop.call_soon(self._move, backend)

    def _move(self, backend: Backend) -> None:
        for client in self._web_clients():
            client.ejected(backend)

    def _one_empty(self) -> None:
        self._gone.tell()
