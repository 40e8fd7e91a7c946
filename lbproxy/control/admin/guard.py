"""Keeps web pages out of an admin interface that listens on a loopback port.

A page that an administrator visits can make the browser send requests to 127.0.0.1, and by DNS rebinding under a
name of its own even read the answers. Such a request names a foreign Host, or a foreign Origin (RFC 6454 section 7).
"""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from lbproxy.control.admin.web import Refusal, Request


def refuse_foreign(request: Request, port: int) -> None:
    """Raises Refusal (403) for what was not meant for a loopback address and `port`."""
    if not is_local(request.headers.get("host", ""), port):
        raise Refusal(403, "the Host is not a loopback address with this port\n")
    origin = request.headers.get("origin")
    if origin is not None and not (origin.startswith("http://") and is_local(origin.removeprefix("http://"), port)):
        raise Refusal(403, "the Origin is another site\n")


def is_local(authority: str, port: int) -> bool:
    """Whether `authority` (host[:port]) is localhost or a loopback address, with `port`."""
    try:
        parts = urlsplit(f"//{authority}")
        if (parts.port or 80) != port or parts.netloc != authority or "@" in authority:
            return False
        return parts.hostname == "localhost" or ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False
