"""How large a head may be on the way: max_header_size, and what each backend takes, which is tried."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from lbproxy import config as settings
from lbproxy.control.probes.attempt import describe, no_answer
from lbproxy.control.probes.connector import open_session
from lbproxy.control.snapshot import Snapshot
from lbproxy.doctor.balancer.sight import Sight
from lbproxy.doctor.finding import Finding, Found, UnseenError, ok, unseen, warning
from lbproxy.errors import StartError
from lbproxy.runtime import backend_tls
from lbproxy.runtime.probe_certificate import NoIdentityError, make_identity

WHY = "A user in many groups has a large ticket; where it does not fit, that user alone gets 400 or 431."

KIB = 1024
SIZES = (8 * KIB, 16 * KIB, 32 * KIB, 64 * KIB, 120 * KIB)
"""Bytes of heads that are tried, in this order, as far as max_header_size lets them through."""

ENOUGH = 64 * KIB
"""What Windows allows a ticket by default, 48,000 bytes, has this size in a header."""

_REFUSALS = frozenset({400, 413, 414, 431, 494})
_WITHIN = 1.5  # seconds for an answer

_REMEDIES = {
    "apache": "LimitRequestFieldSize 131072 in Apache's configuration of the server",
    "microsoft": "MaxFieldLength 65534 and MaxRequestBytes 16777216 under"
    r" HKLM\SYSTEM\CurrentControlSet\Services\HTTP\Parameters",
    "nginx": "large_client_header_buffers 4 128k",
    "": "MAX_HEADER_SIZE 131072 in config.json (the Auth0 connector); --max-http-header-size (Node.js);"
    " LimitRequestFieldSize (Apache); MaxFieldLength (HTTP.sys)",
}


@dataclass(frozen=True, slots=True)
class Place:
    """A page of a backend, and how it is asked for."""

    subject: str
    url: str
    host: str
    greeting: bytes
    tls: ssl.SSLContext | None
    server_name: str | None
    most: int


@dataclass(frozen=True, slots=True)
class Limit:
    """`taken`: the largest head that got an ordinary answer; `refused`: the next one, and how, None if all were."""

    taken: int
    refused: tuple[int, str] | None
    server: str


class Taken(NamedTuple):
    """The largest head, in bytes, that something on the way takes as far as is known, and how to raise it."""

    subject: str
    limit: int
    repair: str


async def limits(sight: Sight) -> Found:
    """Of each listener and each backend."""
    found = list(_listeners(sight))
    tried = [_finding(*one) for one in await _tried(sight)]
    with suppress(UnseenError):
        found += _seen(await sight.status())
    return [*found, *tried]


async def measured(sight: Sight) -> list[Taken]:
    """All of them; of a backend, only if it refused something."""
    listeners = [
        Taken(f"listener {name}", one.max_header_size, f'max_header_size = "256KiB" in [listener.{name}]')
        for name, one in sight.config.listeners.items()
        if one.mode == "http"
    ]
    return listeners + [
        Taken(place.subject, limit.taken, _repair(limit.server))
        for place, limit in await _tried(sight)
        if isinstance(limit, Limit) and limit.refused is not None
    ]


async def _tried(sight: Sight) -> list[tuple[Place, Limit | str]]:
    """Each backend, asked once; of one that cannot be asked, why."""

    async def ask() -> list[tuple[Place, Limit | str]]:
        places = await asyncio.to_thread(lambda: list(_places(sight)))
        return list(zip(places, await asyncio.gather(*map(_limit, places)), strict=True))

    return await sight.once("heads", ask).get()


async def _limit(place: Place) -> Limit | str:
    try:
        return await measure(place)
    except aiohttp.ClientError as error:
        return no_answer(error)
    except OSError as error:
        return f"no answer within {_WITHIN:g} s" if isinstance(error, TimeoutError) else describe(error)


def _listeners(sight: Sight) -> Iterator[Finding]:
    for name, listener in sight.config.listeners.items():
        if listener.mode == "http" and listener.max_header_size < ENOUGH:
            told = f"max_header_size is {listener.max_header_size} bytes; a large ticket has {ENOUGH}"
            yield warning(told, repair=f'max_header_size = "128KiB" in [listener.{name}]', subject=f"listener {name}")


def _seen(snapshot: Snapshot) -> Iterator[Finding]:
    for listener in snapshot["listeners"]:
        if refused := listener["ends"].get("head_too_large", 0):
            told = f"{refused} heads were larger than max_header_size, and were answered with 431"
            yield warning(told, repair="raise max_header_size", subject=f"listener {listener['name']}")


def _places(sight: Sight) -> Iterator[Place]:
    host = sight.config.server_url.partition("://")[2]
    fronts = [listener for listener in sight.config.listeners.values() if listener.mode == "http"]
    for listener in fronts:
        pool = sight.config.pools[listener.pool]
        for backend in pool.written:
            if backend.scheme in ("http", "https"):
                yield _place(sight, listener, pool, backend, host)


def _place(
    sight: Sight, listener: settings.Listener, pool: settings.Pool, backend: settings.Backend, host: str
) -> Place:
    tls = None
    if backend.scheme == "https":
        shown = None
        with suppress(StartError, NoIdentityError):
            identity = make_identity(sight.config, listener.pool)
            shown = None if identity is None else identity.current()
        tls = backend_tls.context(pool.tls, verify=False, shown=shown)
    url = backend.url + pool.check.path
    subject, name = f"{listener.pool}/{backend.name}", pool.tls.server_name or urlsplit(url).hostname
    return Place(subject, url, host, backend_tls.greeting(pool), tls, name, listener.max_header_size)


def _finding(place: Place, limit: Limit | str) -> Finding:
    if isinstance(limit, str):
        return unseen(f"it cannot be asked: {limit}", "lbproxy check --connect", place.subject)
    if limit.refused is None:
        return ok(f"takes heads of {limit.taken // KIB} KiB", place.subject)
    size, how = limit.refused
    told = f"takes heads of {limit.taken // KIB} KiB, and answers one of {size // KIB} KiB with {how}"
    if limit.taken >= ENOUGH:
        return ok(told, place.subject)
    return warning(told, repair=_repair(limit.server), subject=place.subject)


def _repair(server: str) -> str:
    key = next((key for key in _REMEDIES if key and key in server.lower()), "")
    return f"{_REMEDIES[key]}; then restart it"


async def measure(place: Place) -> Limit:
    """Ask with heads that grow. Raises OSError or aiohttp.ClientError if an ordinary request has no answer."""
    async with open_session(place.greeting) as session:
        ordinary, server = await _ask(session, place, 0)
        taken = 0
        for size in SIZES:
            if size > place.most:
                break
            try:
                status, _ = await _ask(session, place, size)
            except (OSError, aiohttp.ClientError):
                return Limit(taken, (size, "no answer"), server)
            if status in _REFUSALS and status != ordinary:
                return Limit(taken, (size, str(status)), server)
            taken = size
        return Limit(taken, None, server)


async def _ask(session: aiohttp.ClientSession, place: Place, size: int) -> tuple[int, str]:
    """The status and the Server of the answer to a head of some `size` bytes."""
    headers = {"Host": place.host}
    if size:
        headers["X-Lbproxy-Doctor"] = "x" * (size - 512)  # which leaves room for the other lines
    async with asyncio.timeout(_WITHIN):
        response = await session.get(
            URL(place.url, encoded=True),
            headers=headers,
            allow_redirects=False,
            ssl=place.tls or True,
            server_hostname=place.server_name if place.tls else None,
        )
    response.close()
    return response.status, response.headers.get("Server", "")
