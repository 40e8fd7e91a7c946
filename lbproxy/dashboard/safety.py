"""What every request has to show before a page is made for it, and what every answer carries.

Host: DNS rebinding would make a foreign page ask under a name of its own. Origin (RFC 6454): forms of other sites.
Content-Security-Policy: if a name were ever not escaped, no script of its would run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",  # with no-referrer, browsers would send Origin: null with forms
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Server": "lbproxy",
}

BODY_WITHIN = 10.0
"""Seconds for the body of a form."""


def guard(is_ours: Callable[[str], bool], scheme: str) -> Middleware:
    """is_ours: whether a Host is one of this dashboard's. Others get 421, and forms of other sites 403."""

    @web.middleware
    async def look(request: web.Request, handler: Handler) -> web.StreamResponse:
        host = request.headers.get("Host", "")
        if len(request.headers.getall("Host", ())) != 1 or not is_ours(host):
            raise web.HTTPMisdirectedRequest(text="The Host is not one of this dashboard's.\n")
        if request.method not in ("GET", "HEAD"):
            # A form of a page here always has its Origin (Fetch, section 3.2): who sends none is no browser with one.
            if request.headers.get("Origin", "") != f"{scheme}://{host}":
                raise web.HTTPForbidden(text="The Origin is another site's.\n")
            if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
                raise web.HTTPForbidden(text="Another site asks.\n")
        return await handler(request)

    return look


async def carry(_: web.Request, response: web.StreamResponse) -> None:
    """Sets `HEADERS` on every answer; a signal of aiohttp."""
    response.headers.update(HEADERS)


async def form(request: web.Request) -> dict[str, str]:
    """The fields of a form, each once; files are none. Raises HTTPBadRequest and HTTPRequestTimeout."""
    if request.content_type != "application/x-www-form-urlencoded":
        raise web.HTTPUnsupportedMediaType(text="A form is expected.\n")
    try:
        async with asyncio.timeout(BODY_WITHIN):
            found = await request.post()
    except TimeoutError:
        raise web.HTTPRequestTimeout(text="The form did not come in time.\n") from None
    except (ValueError, LookupError):
        raise web.HTTPBadRequest(text="The form cannot be read.\n") from None
    return {name: value for name, value in found.items() if isinstance(value, str)}
