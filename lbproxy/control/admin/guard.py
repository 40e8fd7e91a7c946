"""Keeps web pages out of an admin interface that listens on a loopback port.

A page that an administrator visits can make the browser send requests to 127.0.0.1, and by DNS rebinding under a
name of its own even read the answers. Such a request names a foreign Host, or a foreign Origin (RFC 6454 section 7).
"""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware


def guard(port: int) -> Middleware:
    """A middleware that refuses (403) what was not meant for a loopback address and `port`."""

    @web.middleware
    async def refuse_foreign(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not is_local(request.headers.get("Host", ""), port):
            raise web.HTTPForbidden(text="the Host is not a loopback address with this port\n")
        origin = request.headers.get("Origin")
        if origin is not None and not (origin.startswith("http://") and is_local(origin.removeprefix("http://"), port)):
            raise web.HTTPForbidden(text="the Origin is another site\n")
        return await handler(request)

    return refuse_foreign


def is_local(authority: str, port: int) -> bool:
    """Whether `authority` (host[:port]) is localhost or a loopback address, with `port`."""
    try:
        parts = urlsplit(f"//{authority}")
        if (parts.port or 80) != port or parts.netloc != authority or "@" in authority:
            return False
        return parts.hostname == "localhost" or ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False
