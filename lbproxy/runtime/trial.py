"""One try of every backend: where its name leads, whether it accepts a connection, and what its probe says."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from lbproxy import config as settings
from lbproxy.balance.backend import Backend
from lbproxy.balance.health import Rules
from lbproxy.balance.pool import Pool
from lbproxy.config import Config
from lbproxy.control.probes import ProbeResult
from lbproxy.control.probes.attempt import attempt
from lbproxy.control.probes.connect import connect_any
from lbproxy.runtime.build_probes import PoolProbes, make_probes
from lbproxy.runtime.probe_certificate import make_identity
from lbproxy.wire.hosts import port_of

Key = tuple[str, str]
"""A pool's name and a backend's."""

AT_ONCE = 50
"""Backends that are tried at the same time."""


@dataclass(frozen=True, slots=True)
class Trial:
    """addresses: where the name leads, none if it leads nowhere; connect, probe: what was found.

    `probe` is None with `check.kind = "none"`, which probes no backend that is up.
    """

    addresses: tuple[str, ...]
    connect: ProbeResult
    probe: ProbeResult | None


async def try_backends(config: Config) -> dict[Key, Trial]:
    """A trial of each backend of each pool. Raises MissingExtraError and StartError as `make_probes` does."""
    found: dict[Key, Trial] = {}
    for name, options in config.pools.items():
        pool = Pool(name, [Backend(entry.name, entry.url) for entry in options.backends], Rules())
        probes = make_probes(pool, options, config.server_url.partition("://")[2], identity=make_identity(config, name))
        slots = asyncio.Semaphore(AT_ONCE)
        try:
            trials = await asyncio.gather(*(_try(entry, options, probes, slots) for entry in options.backends))
        finally:
            await probes.close()
        found |= {(name, entry.name): trial for entry, trial in zip(options.backends, trials, strict=True)}
    return found


async def _try(entry: settings.Backend, options: settings.Pool, probes: PoolProbes, slots: asyncio.Semaphore) -> Trial:
    async with slots:
        addresses, connected = await _connect(entry, options.connect_timeout)
        probed = None if options.check.kind == "none" else await probes.by_name[entry.name].run()
    return Trial(addresses, connected, probed)


async def _connect(entry: settings.Backend, within: float) -> tuple[tuple[str, ...], ProbeResult]:
    parts = urlsplit(entry.url)
    addresses: list[str] = []

    async def connect() -> tuple[bool, str]:
        loop = asyncio.get_running_loop()
        infos = await loop.getaddrinfo(parts.hostname, port_of(parts), type=socket.SOCK_STREAM)
        addresses.extend(str(info[4][0]) for info in infos)
        (await connect_any(infos, b"")).close()
        return True, "connected"

    result = await attempt(connect(), within)
    return tuple(addresses), result
