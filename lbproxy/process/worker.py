"""The data path of one process: listeners, pools and lanes on one event loop. No control plane, no configuration file.

`Worker` is made from a validated configuration and the listening sockets, and is driven by a coarse clock.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Mapping
from functools import partial
from ipaddress import ip_network
from math import ceil
from urllib.parse import urlsplit

from lbproxy import config as settings
from lbproxy import reasons
from lbproxy.balance.backend import Backend
from lbproxy.balance.health import Change, Rules
from lbproxy.balance.pool import Pool
from lbproxy.config import Config
from lbproxy.errors import StartError
from lbproxy.net.exchange import Site
from lbproxy.net.lane import LaneOptions, Lanes
from lbproxy.net.listener import Listener, ListenerOptions
from lbproxy.net.record import Record
from lbproxy.net.stream import Poller
from lbproxy.net.tls import ServerTls, client_context
from lbproxy.reasons import Reason
from lbproxy.wire.headers import RESPONSE_FIELDS, RESPONSE_TRAILERS, request_fields, request_trailers
from lbproxy.wire.hosts import without_port
from lbproxy.wire.http1 import Forwarding, Limits, RequestHead, ResponseHead
from lbproxy.wire.paths import is_denied, normalised

TICK = 0.1
"""Seconds between two looks at the deadlines; timeouts are that coarse."""
TICKS_A_REFRESH = 10
"""Certificates' files are looked at once a second."""

_EVERYBODY = {ip_network("0.0.0.0/0"), ip_network("::/0")}
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Worker:
    """`pools` and `listeners` by name; `lane_ends` counts how lanes ended, by the reason's label."""

    def __init__(
        self,
        config: Config,
        sockets: Mapping[str, socket.socket],
        log: Callable[[Record], None],
        logs: bool,
    ) -> None:
        """Call it on the running loop. Raises StartError when a certificate or key cannot be used."""
        self._loop = asyncio.get_running_loop()
        self.poller = Poller(self._loop)
        self.lane_ends: dict[str, int] = {}
        self.pools = {name: self._pool(name, pool) for name, pool in config.pools.items()}
        self.listeners = {name: self._listener(config, name, sockets[name], log, logs) for name in config.listeners}
        self._ticks = 0
        self._timer: asyncio.TimerHandle | None = None
        self._all_gone = asyncio.Event()

    def __repr__(self) -> str:
        return f"<worker {self.connections} connections, {self.poller.streams} streams>"

    @property
    def connections(self) -> int:
        """Client connections that are open."""
        return sum(len(listener.connections) for listener in self.listeners.values())

    def start(self) -> None:
        """Accept from now on."""
        self._tick()
        for listener in self.listeners.values():
            listener.start()

    async def drain(self, within: float) -> bool:
        """Accept no more, let requests finish, at most `within` seconds; False when some were cut."""
        for listener in self.listeners.values():
            listener.drain()
        try:
            async with asyncio.timeout(within):
                while self.connections:
                    self._all_gone.clear()
                    await self._all_gone.wait()
        except TimeoutError:
            return False
        return True

    def stop(self) -> None:
        """End everything that is still open, now."""
        for listener in self.listeners.values():
            listener.stop(reasons.SHUTDOWN)
        for backend in self.backends():
            backend.lanes.close_idle(reasons.LANE_DRAINED)
        if self._timer is not None:
            self._timer.cancel()
        self.poller.close()

    def backends(self) -> list[Backend]:
        """All backends of all pools."""
        return [backend for pool in self.pools.values() for backend in pool.backends]

    def _tick(self) -> None:
        self._timer = self._loop.call_later(TICK, self._tick)
        self.poller.tick()
        self._ticks += 1
        if self._ticks % TICKS_A_REFRESH == 0:
            for listener in self.listeners.values():
                if listener.tls is not None:
                    listener.tls.refresh()

    # --- from the configuration

    def _pool(self, name: str, pool: settings.Pool) -> Pool:
        options = LaneOptions(
            connect_timeout=pool.connect_timeout,
            idle_timeout=pool.idle_lane_timeout,
            tls=_towards_backends(name, pool),
            server_name=pool.tls.server_name,
        )
        backends = [Backend(backend.name, backend.url) for backend in pool.backends]
        for backend in backends:
            plain = backend.scheme == "http"
            lane_options = LaneOptions(options.connect_timeout, options.idle_timeout) if plain else options
            backend.lanes = Lanes(backend, self.poller, lane_options, self.lane_ends)
        rules = Rules(pool.check.rise, pool.check.fall, pool.consecutive_errors)
        made = Pool(name, backends, rules, pool.when_all_down)
        made.on_change.append(_close_idle_lanes)
        return made

    def _listener(
        self, config: Config, name: str, sock: socket.socket, log: Callable[[Record], None], logs: bool
    ) -> Listener:
        listener = config.listeners[name]
        pool = config.pools[listener.pool]
        options = ListenerOptions(
            name=name,
            server_url=config.server_url,
            max_connections=listener.max_connections,
            retry_after=max(1, ceil(pool.check.interval)),
            trust=listener.trust_forwarded_from,
            allow=None if set(listener.allow) >= _EVERYBODY else listener.allow,
            on_empty=self._one_empty,
        )
        tls = None if listener.tls is None else _towards_clients(name, listener.tls)
        site = _site(config, listener, pool.response_timeout, logs)
        return Listener(options, sock, self.poller, site, self.pools[listener.pool], tls, log)

    def _one_empty(self) -> None:
        self._all_gone.set()


def _site(config: Config, listener: settings.Listener, response_timeout: float, logs: bool) -> Site:
    limits = Limits(listener.max_header_size, listener.max_target_size, listener.max_header_lines)
    denied = tuple(normalised(path.encode()) for path in listener.deny_paths)
    return Site(
        RequestHead(limits, request_fields(listener.strip_headers, listener.allow_underscores)),
        ResponseHead(limits, RESPONSE_FIELDS),
        request_trailers(listener.strip_headers),
        RESPONSE_TRAILERS,
        _forwarding(config.server_url, listener.tls is not None),
        host_served=partial(_serves, frozenset(listener.hosts)),
        denied_paths=denied,
        path_denied=partial(is_denied, denied=denied),
        header_timeout=listener.header_timeout,
        idle_timeout=listener.idle_timeout,
        response_timeout=response_timeout,
        logs=logs,
    )


def _forwarding(server_url: str, tls: bool) -> Forwarding:
    parts = urlsplit(server_url)
    port = parts.port or _DEFAULT_PORTS[parts.scheme]
    return Forwarding(b"https" if tls else b"http", str(port).encode(), parts.netloc.encode())


def _serves(hosts: frozenset[str], host: bytes) -> bool:
    return "*" in hosts or without_port(host) in hosts


def _towards_clients(name: str, tls: settings.ListenerTls) -> ServerTls:
    try:
        return ServerTls(tls.certificate, tls.key, tls.minimum_version)
    except (OSError, ssl.SSLError) as error:
        raise StartError(f"listener.{name}.tls: {tls.certificate} and {tls.key} cannot be used: {error}") from error


def _towards_backends(name: str, pool: settings.Pool) -> ssl.SSLContext | None:
    if not any(backend.url.startswith("https:") for backend in pool.backends):
        return None
    try:
        return client_context(pool.tls.ca, pool.tls.verify)
    except (OSError, ssl.SSLError) as error:
        raise StartError(f"pool.{name}.tls.ca: {pool.tls.ca} cannot be used: {error}") from error


def _close_idle_lanes(backend: Backend, change: Change, _reason: Reason | None, _detail: str) -> None:
    if change is Change.EJECT:
        backend.lanes.close_idle(reasons.LANE_EJECTED)
