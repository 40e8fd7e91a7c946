"""The dashboard as a web application: pages for whoever has signed in, and orders for operators."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from aiohttp import web
from aiohttp.typedefs import Handler

from lbproxy.control.live_connections import WAITS_FOR
from lbproxy.dashboard import pages, safety
from lbproxy.dashboard.balancer import Balancer
from lbproxy.dashboard.ordering import Ordering
from lbproxy.dashboard.orders import ORDERS
from lbproxy.dashboard.pages import NAMES, SHOWN, Missing, Pages, link, page_at
from lbproxy.dashboard.render import Render, make_render
from lbproxy.dashboard.sessions import Session, Sessions
from lbproxy.dashboard.stream import Streams
from lbproxy.dashboard.watcher import Watcher

_STATIC = Path(__file__).parent / "static"

_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

KINDS = {
    "certificate": "certificate",
    "ca": "authority of backends",
    "client_ca": "authority of users",
    "crl": "revocation list",
    "mint": "minting authority",
}

LEVELS = {"DEBUG": "new", "INFO": "new", "WARNING": "out"}
"""How an event is marked; others are as what is down."""

SESSION = web.RequestKey("session", Session)

MAX_FORM = 16 * 1024
"""Bytes."""


class Ways(NamedTuple):
    """How browsers get in.

    scheme: of the dashboard's own addresses. prefix: before every path. cookie: the name of the session's.
    is_ours: whether a Host is one of this dashboard's. sign_in: answers whoever has not signed in. routes: of signing
    in; they are open to everybody, whom the other safeguards let through.
    """

    scheme: str
    prefix: str
    cookie: str
    is_ours: Callable[[str], bool]
    sign_in: Callable[[web.Request], Awaitable[web.StreamResponse]]
    routes: Callable[[Dashboard], Iterable[web.AbstractRouteDef]]
    can_sign_out: bool


class Dashboard:
    """`app` is what a server serves."""

    def __init__(self, balancer: Balancer, sessions: Sessions, ways: Ways) -> None:
        """Raises MissingExtraError."""
        self.sessions = sessions
        self.ways = ways
        self.watcher = Watcher(balancer)
        self.render: Render = make_render(
            ways.prefix, link=link, SHOWN=SHOWN, plots=pages.plots, WAITS_FOR=WAITS_FOR, KINDS=KINDS, LEVELS=LEVELS
        )
        self.pages = Pages(self.render, balancer)
        self.streams = Streams(self.watcher, self.pages, sessions)
        self._static = {path.name: path.read_bytes() for path in _STATIC.iterdir() if path.suffix in _TYPES}
        self._ordering = Ordering(self, balancer)
        self.app = web.Application(middlewares=self._middlewares(), client_max_size=MAX_FORM)
        self.app.on_response_prepare.append(safety.carry)
        self.app.on_shutdown.append(self._close)
        self.app.add_routes(self._routes())

    def __repr__(self) -> str:
        return f"<dashboard, {self.sessions!r}, {self.streams!r}>"

    def page(
        self, title: str, main: str, session: Session | None, here: str | None = None, stream: str = ""
    ) -> web.Response:
        """A whole page. main: its HTML. here: the path in the navigation, if it is there. stream: what it follows."""
        text = self.render(
            "base.html", title=title, main=_html(main), session=session, names=NAMES, here=here, stream=stream,
            can_sign_out=self.ways.can_sign_out,
        )  # fmt: skip
        return web.Response(text=text, content_type="text/html", charset="utf-8")

    def message(
        self, status: int, title: str, lines: Iterable[str], session: Session | None, back: str = "", text: str = ""
    ) -> web.Response:
        """A page with a few sentences. back: the path that it leads to, in the words `text`."""
        main = self.render(
            "message.html", title=title, lines=[*lines], bad=status >= 400,
            back=f"{self.ways.prefix}/{back}", back_text=text or "Go on",
        )  # fmt: skip
        response = self.page(title, main, session)
        response.set_status(status)
        return response

    def let_in(self, response: web.StreamResponse, token: str) -> None:
        """Have the browser keep the token of its session."""
        response.set_cookie(
            self.ways.cookie, token, path=self._cookie_path, httponly=True, secure=self.ways.scheme == "https",
            samesite="Lax" if self.ways.scheme == "https" else "Strict",
        )  # fmt: skip

    def session_of(self, request: web.Request) -> Session | None:
        """That of the browser's token, if it goes on. An open stream is no use of it: nobody may be there."""
        is_stream = request.path == f"{self.ways.prefix}/stream"
        return self.sessions.find(request.cookies.get(self.ways.cookie, ""), used=not is_stream)

    @property
    def _cookie_path(self) -> str:
        return f"{self.ways.prefix}/"

    def _middlewares(self) -> list[Any]:
        return [self._shown, safety.guard(self.ways.is_ours, self.ways.scheme)]

    def _routes(self) -> list[web.AbstractRouteDef]:
        prefix = self.ways.prefix
        found: list[web.AbstractRouteDef] = [
            web.get(f"{prefix}/static/{{name}}", self._serve_static),
            *self.ways.routes(self),
            web.get(f"{prefix}/stream", self._stream),
        ]
        if self.ways.can_sign_out:
            found.append(web.post(f"{prefix}/sign-out", self._with_session(self._sign_out)))
        for path, order in ORDERS.items():
            found.append(web.get(f"{prefix}{path}", self._with_session(self._ordering.asks(order))))
            found.append(web.post(f"{prefix}{path}", self._with_session(self._ordering.gives(order))))
        return [*found, web.get(f"{prefix}/{{path:.*}}", self._with_session(self._show))]

    def _with_session(self, handler: Handler) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            session = self.session_of(request)
            if session is None:
                return await self.ways.sign_in(request)
            request[SESSION] = session
            return await handler(request)

        return handle

    async def _show(self, request: web.Request) -> web.StreamResponse:
        session = request[SESSION]
        page = _page(request)
        seen = await self.watcher.look()
        main = await self.pages.main(page, session.role, seen)
        here = "" if page.name == "overview" else page.name
        stream = f"{self.ways.prefix}/stream?path={link(_below(request, self.ways.prefix))}"
        return self.page(page.title, main, session, here, stream + "".join(f"&{k}={link(v)}" for k, v in page.query))

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        session = self.session_of(request)
        if session is None:
            return await self.streams.refuse(request)
        page = page_at(request.query.get("path", ""), request.query)
        return await self.streams.serve(request, page, session)

    async def _sign_out(self, request: web.Request) -> web.StreamResponse:
        session = request[SESSION]
        if not session.owns((await safety.form(request)).get("csrf", "")):
            raise web.HTTPForbidden(text="The form is not of this session.\n")
        self.sessions.end(session)
        response = self.message(200, "Signed out", ["You have signed out."], None, "", "Sign in again")
        response.del_cookie(self.ways.cookie, path=self._cookie_path, secure=self.ways.scheme == "https", httponly=True)
        return response

    async def _serve_static(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        if name not in self._static:
            raise web.HTTPNotFound(text="There is no such file.\n")
        return web.Response(body=self._static[name], content_type=_TYPES[Path(name).suffix], charset="utf-8")

    @web.middleware
    async def _shown(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """What is wrong, as a page."""
        try:
            return await handler(request)
        except Missing:
            lines = ["There is no such page. A backend that it was about may have gone."]
            return self.message(404, "Not there", lines, request.get(SESSION))
        except web.HTTPException as error:
            if error.status < 400:
                raise
            return self.message(error.status, error.reason, [(error.text or "").strip()], request.get(SESSION))

    async def _close(self, _: web.Application) -> None:
        await self.streams.close()
        await self.watcher.close()


def _html(made: str) -> Any:
    from markupsafe import Markup

    return Markup(made)


def _below(request: web.Request, prefix: str) -> str:
    """The path as it was sent, below the dashboard's own."""
    return request.rel_url.raw_path.removeprefix(f"{prefix}/")


def _page(request: web.Request) -> pages.Page:
    return page_at(request.match_info["path"], request.query)
