"""The balancer as this host reaches it: from elsewhere than its own host."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from lbproxy.control.probes.attempt import describe
from lbproxy.doctor.connector.sight import Sight
from lbproxy.doctor.finding import Found, UnseenError, ok, problem
from lbproxy.wire.hosts import port_of

WHY = "Users reach the connector through the balancer only."

_WITHIN = 3.0  # seconds


async def reached(sight: Sight) -> Found:
    """The port of server_url accepts connections."""
    url = sight.asked.server_url
    if not url:
        raise UnseenError("the address of the balancer is not known here", "add --server-url URL")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UnseenError(f"{url} is no URL with http:// or https://")
    try:
        async with asyncio.timeout(_WITHIN):
            _, writer = await asyncio.open_connection(parts.hostname, port_of(parts))
            writer.close()
    except OSError as error:
        told = f"no answer within {_WITHIN:g} s" if isinstance(error, TimeoutError) else describe(error)
        repair = f"lbproxy doctor on the balancer's host; the firewall, port {port_of(parts)}"
        return [problem(f"{url}: {told}", repair=repair)]
    return [ok(f"{url} accepts connections from here")]
