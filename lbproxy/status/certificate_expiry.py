"""When what TLS uses ends: certificates, authorities, revocation lists, and the mint's CA, as they are loaded now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import Literal, NamedTuple

from lbproxy.config import Config
from lbproxy.config.keys import full_name
from lbproxy.control.log.timestamp import timestamp
from lbproxy.control.snapshot import ExpiryView
from lbproxy.net.http.web import WebService
from lbproxy.net.tls import BackendTls, Expiry
from lbproxy.runtime.data_path import DataPath


class Ending(NamedTuple):
    """An `lbproxy.net.tls.Expiry`, or the mint's, and the table of the configuration that it is of, as JSON has it."""

    where: str
    kind: Literal["certificate", "ca", "client_ca", "crl", "mint"]
    path: str
    name: str
    ends: float


def endings(config: Config, data_path: DataPath) -> list[Ending]:
    """All of them, what ends first in front."""
    found = [*_of_listeners(config, data_path), *_of_pools(data_path)]
    return sorted(found, key=attrgetter("ends"))


def expiries(found: Iterable[Ending], now: float) -> list[ExpiryView]:
    """How long each lasts from `now`, in seconds since the epoch."""
    return [_view(Ending(*ending), now) for ending in found]


def _of_listeners(config: Config, data_path: DataPath) -> Iterator[Ending]:
    for name, listener in data_path.listeners.items():
        service, options = listener.service, config.listeners[name].tls
        if not isinstance(service, WebService) or service.tls is None or options is None:
            continue
        where = full_name(("listener", name, "tls"))
        yield from (_ending(where, expiry) for expiry in service.tls.expiries())
        mint = service.options.mint
        if mint is not None and options.mint is not None:
            yield Ending(f"{where}.mint", "mint", str(options.mint.ca_certificate), mint.name, mint.ends)


def _of_pools(data_path: DataPath) -> Iterator[Ending]:
    for name, pool in data_path.pools.items():
        used: set[BackendTls | None] = {backend.lanes.options.tls for backend in pool.backends}
        for tls in filter(None, used):  # one, if any: the pool's
            yield from (_ending(full_name(("pool", name, "tls")), expiry) for expiry in tls.expiries())


def _ending(where: str, expiry: Expiry) -> Ending:
    return Ending(where, expiry.kind, str(expiry.path), expiry.name, expiry.ends)


def _view(ending: Ending, now: float) -> ExpiryView:
    return {
        "where": ending.where,
        "kind": ending.kind,
        "path": ending.path,
        "name": ending.name,
        "expires": timestamp(ending.ends),
        "left_seconds": ending.ends - now,
    }
