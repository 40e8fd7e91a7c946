"""When what TLS uses ends: certificates, authorities, revocation lists, and the mint's CA, as they are loaded now."""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path
from typing import Literal, NamedTuple

from lbproxy.config import Config
from lbproxy.config.keys import full_name
from lbproxy.control.log.timestamp import timestamp
from lbproxy.control.snapshot import ExpiryView
from lbproxy.net.http.web import WebService
from lbproxy.net.tls import BackendTls
from lbproxy.runtime.data_path import DataPath


class _Ending(NamedTuple):
    """An `lbproxy.net.tls.Expiry`, or the mint's, and the table of the configuration that it is of."""

    where: str
    kind: Literal["certificate", "ca", "client_ca", "crl", "mint"]
    path: Path
    name: str
    ends: float


def expiries(config: Config, data_path: DataPath, now: float) -> list[ExpiryView]:
    """All of them, what ends first in front; `now` is in seconds since the epoch."""
    found = [*_of_listeners(config, data_path), *_of_pools(data_path)]
    return [_view(ending, now) for ending in sorted(found, key=attrgetter("ends"))]


def _of_listeners(config: Config, data_path: DataPath) -> Iterator[_Ending]:
    for name, listener in data_path.listeners.items():
        service, options = listener.service, config.listeners[name].tls
        if not isinstance(service, WebService) or service.tls is None or options is None:
            continue
        where = full_name(("listener", name, "tls"))
        yield from (_Ending(where, *expiry) for expiry in service.tls.expiries())
        mint = service.options.mint
        if mint is not None and options.mint is not None:
            yield _Ending(f"{where}.mint", "mint", options.mint.ca_certificate, mint.name, mint.ends)


def _of_pools(data_path: DataPath) -> Iterator[_Ending]:
    for name, pool in data_path.pools.items():
        used: set[BackendTls | None] = {backend.lanes.options.tls for backend in pool.backends}
        for tls in filter(None, used):  # one, if any: the pool's
            yield from (_Ending(full_name(("pool", name, "tls")), *expiry) for expiry in tls.expiries())


def _view(ending: _Ending, now: float) -> ExpiryView:
    return {
        "where": ending.where,
        "kind": ending.kind,
        "path": str(ending.path),
        "name": ending.name,
        "expires": timestamp(ending.ends),
        "left_seconds": ending.ends - now,
    }
