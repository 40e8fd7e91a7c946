"""Whether backends require a certificate from every client, where a listener serves users without one.

Such users get 502 only, and nothing tells them why: `check --connect` asks each backend with the certificate of the
probes and without it.
"""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from lbproxy import config as settings
from lbproxy.config import Config
from lbproxy.config.keys import full_name
from lbproxy.control.probes.connect import shake_hands
from lbproxy.errors import Problem
from lbproxy.runtime import backend_tls
from lbproxy.runtime.probe_certificate import Identity, make_identity

PATIENCE = 1.0
"""Seconds that a backend has to end a connection: longer than a probe's, because an administrator waits for it once."""


async def find(config: Config) -> list[Problem]:
    """A warning for each listener with optional certificates whose backends accept no client without one.

    Raises StartError when a mint cannot be used.
    """
    found = []
    for name, listener in config.listeners.items():
        if listener.tls is not None and listener.tls.minting and listener.tls.client_certificate == "optional":
            names = await _demanding(config, listener.pool)
            if names:
                where = full_name(("listener", name, "tls", "client_certificate"))
                text = f"optional, but {', '.join(names)} let in certificates only; set it to required"
                found.append(Problem(where, text))
    return found


async def _demanding(config: Config, pool_name: str) -> list[str]:
    """The backends that let the probe in, but not without its certificate."""
    pool, identity = config.pools[pool_name], make_identity(config, pool_name)
    shown = await asyncio.gather(*(_lets_in(pool, backend, identity) for backend in pool.backends))
    bare = await asyncio.gather(*(_lets_in(pool, backend, None) for backend in pool.backends))
    return [backend.name for backend, one, other in zip(pool.backends, shown, bare, strict=True) if one and not other]


async def _lets_in(pool: settings.Pool, backend: settings.Backend, identity: Identity | None) -> bool:
    parts = urlsplit(backend.url)
    host = parts.hostname or ""
    try:
        tls = backend_tls.context(pool.tls, verify=False, shown=None if identity is None else identity.current())
        async with asyncio.timeout(pool.connect_timeout + PATIENCE):
            greeting = backend_tls.greeting(pool)
            await shake_hands(host, parts.port or 443, tls, pool.tls.server_name or host, greeting, PATIENCE)
    except OSError:
        return False
    return True
