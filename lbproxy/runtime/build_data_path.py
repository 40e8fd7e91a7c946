"""From the configuration to the parts of the data path: lanes of backends, listeners with what they serve."""

from __future__ import annotations

import hmac
import socket
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from ipaddress import ip_network
from math import ceil
from typing import Protocol
from urllib.parse import urlsplit

from lbproxy import config as settings
from lbproxy.balance.backend import Backend
from lbproxy.balance.round_robin import RoundRobin
from lbproxy.config import Config
from lbproxy.errors import StartError
from lbproxy.net.http.request_ids import IdSource
from lbproxy.net.http.site import Site
from lbproxy.net.http.web import WebOptions, WebService
from lbproxy.net.listener.listener import Listener, ListenerOptions, Service
from lbproxy.net.passthrough.connection import PassOptions, PassService, Routes
from lbproxy.net.tls import ClientPolicy, ServerTls
from lbproxy.net.transport.descriptor_budget import DescriptorBudget, streams_allowed
from lbproxy.net.transport.poller import Poller
from lbproxy.net.upstream.lane import LaneOptions, Lanes
from lbproxy.record import Record, Trace
from lbproxy.runtime.lane_tls import LaneTls
from lbproxy.runtime.model import Model
from lbproxy.wire.fields import FieldTable, Limits
from lbproxy.wire.headers import RESPONSE_FIELDS, RESPONSE_TRAILERS, request_fields, request_trailers
from lbproxy.wire.hosts import port_of, without_port
from lbproxy.wire.paths import is_denied, normalised
from lbproxy.wire.request_heads import Forwarding, RequestHead
from lbproxy.wire.response_heads import ResponseHead

_EVERYBODY = {ip_network("0.0.0.0/0"), ip_network("::/0")}


class Followed(Protocol):
    """Something made of files that may change."""

    def refresh(self) -> bool: ...


class Assembly:
    """Makes what moves bytes in one process: lanes and listeners. `server_tls` are by the listener, so far."""

    def __init__(
        self,
        config: Config,
        model: Model,
        lane_tls: LaneTls,
        poller: Poller,
        lane_ends: dict[str, int],
        log: Callable[[Record], None] | None,
        trace: Callable[[Trace], None],
        on_empty: Callable[[], None],
        secrets: Sequence[bytes] = (),
    ) -> None:
        """log None: nothing is logged. trace: gets each request that is sampled. secrets: see `ServerTls`.

        Each member of the model's pools gets its lanes. Raises StartError when a certificate or key cannot be used.
        """
        self._config = config
        self._model = model
        self._lane_tls = lane_tls
        self._poller = poller
        self._lane_ends = lane_ends
        self._log = log
        self._trace = trace
        self._on_empty = on_empty
        self._secrets = secrets
        self._ids = _ids(config)
        self._room = DescriptorBudget(poller, streams_allowed())
        self.server_tls: dict[str, ServerTls] = {}
        for name, pool in model.pools.items():
            for backend in pool.backends:
                self.equip(name, backend)

    def __repr__(self) -> str:
        return f"<assembly of {len(self._model.pools)} pools>"

    def files(self) -> Iterator[Followed]:
        """Everything that has to be refreshed now and then."""
        yield from self._lane_tls.made.values()
        yield from self.server_tls.values()

    def seal(self, secrets: Sequence[bytes]) -> None:
        """Seal session tickets with the first of them, and open those of all: see `ServerTls`."""
        self._secrets = secrets
        for name, tls in self.server_tls.items():
            tls.seal(_of_listener(name, secrets))

    def equip(self, name: str, backend: Backend) -> None:
        """Give `backend`, of the pool `name`, its lanes."""
        options = self._config.pools[name]
        tls = self._lane_tls.of(name) if backend.scheme == "https" else None
        lane_options = LaneOptions(options.connect_timeout, options.idle_lane_timeout, tls, self._room)
        backend.lanes = Lanes(backend, self._poller, lane_options, self._lane_ends)

    # --- listeners

    def listener(self, name: str, sock: socket.socket) -> Listener:
        """The listener `name` on `sock`, which is bound. Raises StartError."""
        listener = self._config.listeners[name]
        options = ListenerOptions(
            name=name,
            max_connections=listener.max_connections,
            max_per_address=listener.max_connections_per_address or 0,
            allow=None if set(listener.allow) >= _EVERYBODY else listener.allow,
            proxy_from=listener.accept_proxy_protocol_from,
            header_timeout=listener.header_timeout,
            on_empty=self._on_empty,
        )
        service = self._web(name, listener) if listener.mode == "http" else self._pass(listener)
        return Listener(options, sock, self._poller, service, self._room)

    def _pass(self, listener: settings.Listener) -> Service:
        by_name = {name: self._model.pools[pool] for name, pool in listener.sni.items()}
        routes = Routes(self._model.pools[listener.pool] if listener.mode == "tcp" else None, by_name)
        versions = {pool: self._config.pools[name].send_proxy_protocol for name, pool in self._model.pools.items()}
        options = PassOptions(
            listener.header_timeout,
            listener.idle_timeout,
            logs=self._log is not None,
            send_proxy={pool: version for pool, version in versions.items() if version != "none"},
        )
        return PassService(options, self._poller, routes, self._log or _discard)

    def _web(self, name: str, listener: settings.Listener) -> Service:
        pool = self._config.pools[listener.pool]
        mint = self._model.mints.get(name)
        options = WebOptions(
            server_url=self._config.server_url,
            retry_after=max(1, ceil(pool.check.interval)),
            trust=listener.trust_forwarded_from,
            identity="none" if listener.tls is None else listener.tls.identity,
            send_proxy=pool.send_proxy_protocol,
            retry_buffer=pool.retry_buffer,
            mint=mint,
            tls=self._lane_tls.made.get(listener.pool) if mint is None else self._lane_tls.of(listener.pool),
            minted_for=bool(self._config.mints(listener.pool)),
            request_id=self._config.request_id.encode(),
        )
        tls = None if listener.tls is None else _towards_clients(name, listener.tls, self._secrets)
        if tls is not None:
            self.server_tls[name] = tls
        forwards = self._model.pools[listener.pool]
        site = _site(self._config, listener, pool, forwards.rotation, self._log is not None, self._ids)
        return WebService(options, self._poller, site, forwards, tls, self._log or _discard, self._trace)


def _ids(config: Config) -> IdSource | None:
    """What requests are named by; None: they are not."""
    tracing = config.tracing
    if tracing is None:
        return IdSource() if config.request_id else None
    return IdSource(bool(config.request_id), True, tracing.sample, bool(tracing.endpoint))


def _discard(_: Record) -> None:
    """For records that are not logged."""


def _site(
    config: Config,
    listener: settings.Listener,
    pool: settings.Pool,
    round_robin: RoundRobin,
    logs: bool,
    ids: IdSource | None,
) -> Site:
    limits = Limits(listener.max_header_size, listener.max_target_size, listener.max_header_lines)
    denied = tuple(normalised(path.encode()) for path in listener.deny_paths)
    return Site(
        RequestHead(limits, _request_fields(config, listener)),
        ResponseHead(limits, RESPONSE_FIELDS, pool.bare_lf == "accept"),
        request_trailers((*listener.strip_headers, *filter(None, [config.request_id]))),
        RESPONSE_TRAILERS,
        _forwarding(config, listener.tls is not None),
        round_robin,
        host_served=partial(_serves, frozenset(listener.hosts)),
        denied_paths=denied,
        path_denied=partial(is_denied, denied=denied),
        header_timeout=listener.header_timeout,
        idle_timeout=listener.idle_timeout,
        response_timeout=pool.response_timeout,
        logs=logs,
        slow_after=pool.check.timeout,
        retry_statuses=frozenset(pool.retry_statuses),
        ids=ids,
    )


def _request_fields(config: Config, listener: settings.Listener) -> FieldTable:
    traces = config.tracing is not None
    return request_fields(listener.strip_headers, listener.allow_underscores, config.request_id, traces)


def _forwarding(config: Config, tls: bool) -> Forwarding:
    parts = urlsplit(config.server_url)
    return Forwarding(
        b"https" if tls else b"http",
        str(port_of(parts)).encode(),
        parts.netloc.encode(),
        request_id=config.request_id.encode(),
    )


def _serves(hosts: frozenset[str], host: bytes) -> bool:
    return "*" in hosts or without_port(host) in hosts


def _towards_clients(name: str, tls: settings.ListenerTls, secrets: Sequence[bytes]) -> ServerTls:
    pairs = [(tls.certificate, tls.key), *((pair.certificate, pair.key) for pair in tls.additional)]
    client = None
    if tls.asks_clients:
        assert tls.client_ca is not None, "config.checks has seen to it"
        client = ClientPolicy(tls.client_certificate == "required", tls.client_ca, tls.client_crl)
    try:
        return ServerTls(pairs, tls.minimum_version, client, _of_listener(name, secrets))
    except (OSError, ValueError) as error:
        raise StartError(f"listener.{name}.tls: {error}") from error


def _of_listener(name: str, secrets: Sequence[bytes]) -> list[bytes]:
    """A session never resumes on another listener."""
    return [hmac.digest(secret, name.encode(), "sha256") for secret in secrets]
