"""Whether extended protection (channel bindings) can work through lbproxy: asked of each https backend.

A browser binds its token to the certificate that it saw; a backend that checks compares with its own. So what users
see, the listener's certificate, is compared with what each backend presents (auth/channel_bindings.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from lbproxy import config as settings
from lbproxy.auth.channel_bindings import compare
from lbproxy.auth.library import x509
from lbproxy.auth.mint import Minted
from lbproxy.config import Config
from lbproxy.control.probes.connect import shake_hands
from lbproxy.errors import StartError
from lbproxy.net.tls import certificates
from lbproxy.net.tls.files import read_certificates
from lbproxy.runtime import backend_tls
from lbproxy.runtime.probe_certificate import NoIdentityError, make_identity

AGAIN = 60.0
"""Seconds between two looks of a running balancer: certificates are renewed on either side."""

Key = tuple[str, str]
"""A pool's name and a backend's."""


@dataclass(frozen=True, slots=True)
class Finding:
    """label: works, cannot, undefined or unknown; text: why, for people."""

    label: str
    text: str


class Asked(Protocol):
    """A backend: of the configuration, or a member of a pool."""

    @property
    def name(self) -> str: ...
    @property
    def url(self) -> str: ...


Members = Callable[[str], Iterable[Asked]]
"""The backends of the pool of that name."""


async def judge(config: Config, members: Members | None = None) -> dict[Key, Finding]:
    """A finding for each https backend of a pool behind a listener with TLS; others have no two certificates.

    members: those that there are now; without it, those of the configuration.
    """
    members = members or (lambda name: config.pools[name].backends)
    seen = await asyncio.to_thread(_users_see, config)
    asked = [
        (pool_name, backend)
        for pool_name in seen
        for backend in members(pool_name)
        if urlsplit(backend.url).scheme == "https"
    ]
    shown = await asyncio.to_thread(_shown, config, {name for name, _ in asked})
    judging = (_judge(config.pools[name], backend, seen[name], shown[name]) for name, backend in asked)
    found = await asyncio.gather(*judging)
    return {(name, backend.name): finding for (name, backend), finding in zip(asked, found, strict=True)}


def _users_see(config: Config) -> dict[str, bytes]:
    """{pool's name: the leaf certificate, in DER, of a listener in front of it}; of unreadable files, check tells.

    Of several certificates it is the one for the host of server_url. A listener that passes TLS through has none.
    """
    found: dict[str, bytes] = {}
    for listener in config.listeners.values():
        if listener.tls is not None:
            with suppress(ValueError):
                found.setdefault(listener.pool, certificates.der(_for_host(listener.tls, config.server_host)))
    return found


def _for_host(tls: settings.ListenerTls, host: str) -> x509.Certificate:
    files = [tls.certificate, *(pair.certificate for pair in tls.additional)]
    leaves = [read_certificates(file)[0] for file in files]
    return next((leaf for leaf in leaves if certificates.covers(leaf, host)), leaves[0])


def _shown(config: Config, pools: Iterable[str]) -> dict[str, Minted | None]:
    """What is minted for this look at the backends of each pool; None: nothing, or it failed, which probes report."""
    found: dict[str, Minted | None] = dict.fromkeys(pools)
    for name in found:
        with suppress(StartError, NoIdentityError):
            identity = make_identity(config, name)
            found[name] = None if identity is None else identity.current()
    return found


async def _judge(pool: settings.Pool, backend: Asked, users_see: bytes, minted: Minted | None) -> Finding:
    parts = urlsplit(backend.url)
    host = parts.hostname or ""
    name = pool.tls.server_name or host
    try:
        tls = backend_tls.context(pool.tls, verify=False, shown=minted)
        async with asyncio.timeout(pool.connect_timeout):
            shown = await shake_hands(host, parts.port or 443, tls, name, backend_tls.greeting(pool))
        verdict = compare(users_see, shown.certificate)
    except TimeoutError:
        return Finding("unknown", f"the backend showed no certificate within {pool.connect_timeout:g} s")
    except (OSError, ValueError) as error:
        return Finding("unknown", f"the backend's certificate cannot be seen: {error}")
    return Finding(verdict.label, verdict.text)


async def keep_judging(
    config: Config, found: Callable[[Mapping[Key, Finding]], None], members: Members | None = None
) -> None:
    """Call `found` with the findings now and every `AGAIN` seconds, of those that are `members` then."""
    while True:
        found(await judge(config, members))
        await asyncio.sleep(AGAIN)
