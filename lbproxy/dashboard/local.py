"""`lbproxy dashboard`: on a loopback address, for the account that may ask the admin socket, by a link that works once.

The cookie is for a path that nobody else knows: browsers send those of a host to all of its ports, and another account
of this machine may listen on one.
"""

from __future__ import annotations

import asyncio
import getpass
import hmac
import secrets
import socket
import time
from collections.abc import Awaitable, Callable, Iterable

from aiohttp import web

from lbproxy.control.admin.guard import is_local
from lbproxy.control.admin.sockets import Bind
from lbproxy.dashboard.app import Dashboard, Ways
from lbproxy.dashboard.balancer import Balancer
from lbproxy.dashboard.server import Server
from lbproxy.dashboard.sessions import Sessions

LIFETIME = 12 * 3600.0
"""Seconds of a session."""

LINK_WITHIN = 300.0
"""Seconds in which the link has to be used."""

_LOOK_EVERY = 1.0


class Local:
    """The dashboard of one account; `url` is the link."""

    def __init__(self, balancer: Balancer, sock: socket.socket) -> None:
        """sock: listens on a loopback address."""
        host, port = sock.getsockname()[:2]
        self._secret = secrets.token_urlsafe(32)
        self._made = time.monotonic()
        prefix = f"/{secrets.token_urlsafe(12)}"
        authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self.url = f"http://{authority}{prefix}/enter/{self._secret}"
        self._entered = False
        self._used = time.monotonic()
        sessions = Sessions(time.time, None, LIFETIME)
        ways = Ways(
            "http", prefix, f"lbproxy-{port}", lambda name: is_local(name, port), self._sign_in, self._routes, False
        )
        self.dashboard = Dashboard(balancer, sessions, ways)
        self.dashboard.app.middlewares.append(self._note)
        self.server = Server(self.dashboard.app, sock)

    async def idle(self, seconds: float) -> None:
        """Return when nobody has asked for so long, and no page is open."""
        while time.monotonic() < self._used + seconds:
            await asyncio.sleep(_LOOK_EVERY)
            if len(self.dashboard.streams):
                self._used = time.monotonic()

    @web.middleware
    async def _note(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        self._used = time.monotonic()
        return await handler(request)

    def _routes(self, dashboard: Dashboard) -> Iterable[web.AbstractRouteDef]:
        async def enter(request: web.Request) -> web.StreamResponse:
            given = request.match_info["secret"].encode("utf-8", "replace")
            late = time.monotonic() > self._made + LINK_WITHIN
            if self._entered or late or not hmac.compare_digest(given, self._secret.encode()):
                lines = ["This link works once, within five minutes. Run lbproxy dashboard again."]
                return dashboard.message(403, "The link is used up", lines, None)
            self._entered = True
            token, _ = dashboard.sessions.begin(_account(), "link", "operator")
            response = web.Response(status=303, headers={"Location": f"{dashboard.ways.prefix}/"})
            dashboard.let_in(response, token)
            return response

        return [web.get(f"{dashboard.ways.prefix}/enter/{{secret}}", enter, allow_head=False)]

    async def _sign_in(self, _: web.Request) -> web.StreamResponse:
        lines = ["Run lbproxy dashboard on the balancer's host, and open the link that it prints."]
        return self.dashboard.message(403, "Not signed in", lines, None)


async def serve_local(
    bind: Bind, sock: socket.socket, idle: float, ready: Callable[[str], None] = lambda url: None
) -> None:
    """Serve until nobody has asked for `idle` seconds. ready: called with the link. Raises AdminError."""
    balancer = Balancer(bind)
    try:
        await balancer.status()  # who may not ask the admin socket gets no link
        local = Local(balancer, sock)
        await local.server.start()
        try:
            ready(local.url)
            await local.idle(idle)
        finally:
            await local.server.stop()
    finally:
        await balancer.close()


def _account() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an account without a name
        return "operator"
