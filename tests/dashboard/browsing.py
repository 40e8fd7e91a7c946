"""A dashboard whose server is real, and a browser without a screen: it keeps cookies, and sends what browsers send."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from lbproxy.dashboard.app import Dashboard, Ways
from lbproxy.dashboard.balancer import Balancer
from lbproxy.dashboard.sessions import Role, Sessions

COOKIE = "lbproxy-test"


async def _refuse(_: web.Request) -> web.StreamResponse:
    return web.Response(status=403, text="not signed in")


class Browser:
    """Asks `dashboard`, which listens at `origin`."""

    def __init__(self, dashboard: Dashboard, origin: str, session: aiohttp.ClientSession) -> None:
        self.dashboard = dashboard
        self.origin = origin
        self.session = session

    def sign_in(self, user: str, role: Role, on_behalf: str = "") -> None:
        """As if they had signed in."""
        token, _ = self.dashboard.sessions.begin(user, "test", role, on_behalf)
        self.session.cookie_jar.update_cookies({COOKIE: token})

    async def get(self, path: str) -> tuple[int, str]:
        async with self.session.get(f"{self.origin}{path}") as answer:
            return answer.status, await answer.text()

    async def post(self, path: str, form: Mapping[str, str], **headers: str) -> tuple[int, str]:
        sent = {"Origin": self.origin, **headers}
        async with self.session.post(f"{self.origin}{path}", data=form, headers=sent) as answer:
            return answer.status, await answer.text()

    async def order(self, path: str, **given: str) -> tuple[int, str]:
        """Load the page that asks, and send its form."""
        status, html = await self.get(path)
        assert status == 200, html
        return await self.post(path, fields(html) | given)


def fields(html: str) -> dict[str, str]:
    """The hidden fields of a page's main form."""
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', html.partition("<main")[2]))


@asynccontextmanager
async def browsing(balancer: Balancer, prefix: str = "", **changed: Any) -> AsyncIterator[Browser]:
    """A browser on a dashboard at a free port."""
    sessions = Sessions(time.time, 3600.0, 7200.0)
    ways = Ways("http", prefix, COOKIE, lambda host: host.startswith("127.0.0.1:"), _refuse, lambda _: [], True)
    dashboard = Dashboard(balancer, sessions, ways._replace(**changed))
    async with TestServer(dashboard.app) as server:
        jar = aiohttp.CookieJar(unsafe=True)  # cookies of addresses too
        async with aiohttp.ClientSession(cookie_jar=jar) as session:
            yield Browser(dashboard, f"http://127.0.0.1:{server.port}", session)
