"""What is seen from a host that is no balancer's: it should get to the balancer, and to no backend past it."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Sequence
from functools import partial
from ipaddress import ip_address
from urllib.parse import urlsplit

from lbproxy.control.host_addresses import host_addresses
from lbproxy.control.probes.attempt import describe
from lbproxy.control.probes.connect import connect
from lbproxy.doctor.finding import Check, Finding, Found, UnseenError, ok, problem, unseen
from lbproxy.wire.hosts import port_of

WHY_BALANCER = "Users reach the connector through the balancer only."
WHY_PAST = "Whoever gets past the balancer may be any user: some connectors believe X-Forwarded-User."

_WITHIN = 3.0  # seconds
_REFUSALS = (errno.ECONNREFUSED, errno.EHOSTUNREACH)
"""What `reject` of a firewall, with its various answers, amounts to here (icmp(7), connect(2))."""


def elsewhere_checks(backends: Sequence[str], server_url: str) -> list[Check]:
    """backends: their URLs."""
    return [
        Check("balancer", "network", WHY_BALANCER, partial(balancer, server_url)),
        Check("past the balancer", "network", WHY_PAST, partial(past, backends)),
    ]


async def balancer(url: str) -> Found:
    """The port of server_url accepts connections."""
    if not url:
        raise UnseenError("the address of the balancer is not known here", "add --server-url URL")
    told, accepts = await _tried(url)
    if not accepts:
        port = port_of(urlsplit(url))
        return [problem(f"{url}: {told}", repair=f"lbproxy doctor on the balancer's host; the firewall, port {port}")]
    return [ok(f"{url} accepts connections from here")]


async def past(backends: Sequence[str]) -> Found:
    """No backend accepts connections from here."""
    return await asyncio.gather(*map(_past, backends))


async def _past(url: str) -> Finding:
    try:
        told, accepts = await _tried(url)
    except UnseenError as error:
        return error.finding()
    if accepts and told:
        return unseen(told, "run it on a host that is neither a balancer's nor a connector's", url)
    if accepts:
        repair = "the firewall on its host (docs/connectors/auth0.md); nothing, if this host is a balancer's"
        return problem("accepts connections from here", repair=repair, subject=url)
    if accepts is None:
        return unseen(told, subject=url)
    return ok(f"cannot be reached from here: {told}; see that the balancer has it in rotation", url)


async def _tried(url: str) -> tuple[str, bool | None]:
    """What there is to say of a connection, and whether it was accepted; None: that says nothing of a firewall.

    Raises UnseenError.
    """
    parts = urlsplit(url)
    try:
        host, port = parts.hostname, port_of(parts)
    except (KeyError, ValueError):
        host, port = None, 0
    if not host:
        raise UnseenError(f"{url} is no URL such as http://10.0.0.11:4000")
    try:
        async with asyncio.timeout(_WITHIN):
            with await connect(host, port) as sock:
                peer = sock.getpeername()[0].partition("%")[0]
    except TimeoutError:
        return f"no answer within {_WITHIN:g} s", False
    except OSError as error:
        return describe(error), False if error.errno in _REFUSALS else None
    return ("is an address of this host" if ip_address(peer) in set(host_addresses()) else ""), True
