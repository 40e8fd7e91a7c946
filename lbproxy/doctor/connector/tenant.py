"""The tenant: whether it is reached, its clock, the certificate that it knows, and the hub."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import SplitResult, urlsplit

import aiohttp

from lbproxy.control.probes.attempt import no_answer
from lbproxy.control.probes.kerberos.failures import clock_difference
from lbproxy.doctor.connector import trust
from lbproxy.doctor.connector.sight import Settings, Sight
from lbproxy.doctor.finding import Finding, Found, UnseenError, ok, problem, warning
from lbproxy.instance.kinds.auth0_keys import signing
from lbproxy.instance.model import Area, find

WHY = "The connector ends when its clock is 5 s off, and needs the tenant to start."
WHY_CERTIFICATE = "The tenant refuses every token that is signed with another key."
WHY_HUB = "The tenant cannot ask the connector for passwords and users."

_SKEW = 5.0  # seconds, by which the connector ends itself
_WITHIN = aiohttp.ClientTimeout(total=5.0)
_LARGEST = 1 << 20  # bytes of an answer
_SHA1 = re.compile(r"[0-9a-f]{40}")


class TenantError(Exception):
    """It gave no such answer: why."""


async def clock(sight: Sight) -> Found:
    """The tenant's /test."""
    settings = await sight.settings()
    ticket = urlsplit(_ticket(settings))
    host = _host(ticket)
    began = time.time()
    try:
        answer = await _fetch(settings, f"https://{ticket.netloc}/test", f"{host}/test")
    except TenantError as error:
        return [_silent(str(error), settings)]
    skew = answer.get("clock", 0) / 1000 - (began + time.time()) / 2 if isinstance(answer.get("clock"), int) else None
    if skew is None:
        return [warning(f"{host} answers, and does not say its time", repair=f"curl https://{host}/test")]
    if abs(skew) > _SKEW:
        told = f"the clock of {host} is {clock_difference(skew)} this host's"
        return [problem(told, repair="timedatectl set-ntp true; chronyc tracking")]
    return [ok(f"{host} answers, and its clock is within {_SKEW:g} s")]


def _silent(told: str, settings: Settings) -> Finding:
    through = trust.proxy(settings)
    repair = "DNS, the firewall to port 443, HTTP_PROXY, SSL_CA_PATH"
    return problem(told if through is None else f"{told} (through the proxy that is set)", repair=repair)


async def thumbprint(sight: Sight) -> Found:
    """cert.pem is the certificate that the tenant verifies tokens with. The address of the ticket is a secret."""
    settings = await sight.settings()
    own = _thumbprint(settings)
    ticket = _ticket(settings)
    host = _host(urlsplit(ticket))
    try:
        answer = await _fetch(settings, f"{ticket.rstrip('/')}/info", f"{host}, of the ticket")
    except TenantError as error:
        return [_silent(str(error), settings)]
    listed = answer.get("thumbprints")
    known = [str(one).replace(":", "").lower() for one in listed] if isinstance(listed, list) else []
    shown = next((one for one in known if _SHA1.fullmatch(one)), "")
    if not shown:
        return [warning(f"{host} knows no certificate of this connection", repair="start the connector once")]
    if shown != own:
        told = f"certs/cert.pem has the thumbprint {own[:12]}..., and {host} has {shown[:12]}..."
        repair = "lbproxy instance apply with the pack of the instance that users trust, then restart it"
        return [problem(told, repair=repair)]
    return [ok(f"certs/cert.pem is the certificate that {host} has")]


async def hub(sight: Sight) -> Found:
    """The WebSocket that the tenant asks through."""
    settings = await sight.settings()
    url = re.sub("^http", "ws", settings.text("AD_HUB"), flags=re.IGNORECASE)
    if not url:
        raise UnseenError("AD_HUB is not set; the first start sets it")
    try:
        host = _host(urlsplit(url))
    except ValueError:
        host = ""
    if not host:
        raise UnseenError("AD_HUB is no URL", "start the connector once: it sets AD_HUB")
    try:
        async with _session(settings) as session, session.ws_connect(url, proxy=trust.proxy(settings)):
            return [ok(f"the hub at {host} answers")]
    except TimeoutError:
        told = f"the hub at {host}: no answer within {_WITHIN.total:g} s"
    except aiohttp.WSServerHandshakeError as error:
        told = f"the hub at {host}: {error.status} instead of a WebSocket"
    except (aiohttp.ClientError, ValueError) as error:
        told = f"the hub at {host}: {no_answer(error) if isinstance(error, aiohttp.ClientError) else 'no URL'}"
    return [problem(told, repair="let WebSockets (wss, port 443) out through the firewall and the proxy")]


def _ticket(settings: Settings) -> str:
    """Raises UnseenError."""
    found = settings.text("PROVISIONING_TICKET")
    try:
        fits = urlsplit(found).scheme in ("http", "https") and _host(urlsplit(found))
    except ValueError:
        fits = False
    if not fits:
        raise UnseenError("PROVISIONING_TICKET is not set, or no URL", "set it in config.json")
    return found


def _host(parts: SplitResult) -> str:
    """For people: without a user and a password, which may stand before it. Raises ValueError."""
    return f"{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}"


def _thumbprint(settings: Settings) -> str:
    """Raises UnseenError."""
    files = [find(settings.files, Area.INSTANCE, f"certs/{name}") for name in ("cert.pem", "cert.key")]
    pair = [one.content for one in files if one is not None]
    if settings.text("AUTH_CERT") and settings.text("AUTH_CERT_KEY"):
        pair = [settings.text(name).encode() for name in ("AUTH_CERT", "AUTH_CERT_KEY")]
    found = signing(pair[0], pair[1], "certs/cert.pem").thumbprint if len(pair) == 2 else ""
    if not found:
        raise UnseenError("there is no certs/cert.pem with its key")
    return found


@asynccontextmanager
async def _session(settings: Settings) -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(ssl=trust.context(settings))
    async with aiohttp.ClientSession(connector=connector, timeout=_WITHIN) as session:
        yield session


async def _fetch(settings: Settings, url: str, named: str) -> dict[str, Any]:
    """The object of JSON there. named: for people. Raises TenantError."""
    try:
        async with _session(settings) as session, session.get(url, proxy=trust.proxy(settings)) as response:
            content = await response.content.read(_LARGEST)
            if response.status != 200:
                raise TenantError(f"{named}: {response.status}")
            found = await response.json(content_type=None) if not content else _json(content)
    except TimeoutError:
        raise TenantError(f"{named}: no answer within {_WITHIN.total:g} s") from None
    except aiohttp.ClientError as error:
        raise TenantError(f"{named}: {no_answer(error)}") from None
    except ValueError:
        raise TenantError(f"{named}: the answer is not JSON") from None
    if not isinstance(found, dict):
        raise TenantError(f"{named}: the answer is not what a tenant says")
    return found


def _json(content: bytes) -> Any:
    import json

    return json.loads(content)
