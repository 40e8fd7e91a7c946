"""An order is asked for once, in a page that says what will happen, and given by the form in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp.typedefs import Handler

from lbproxy.control.snapshot import Snapshot
from lbproxy.dashboard import safety
from lbproxy.dashboard.balancer import Balancer
from lbproxy.dashboard.orders import Given, Order, Question
from lbproxy.dashboard.sessions import Session
from lbproxy.errors import AdminError

if TYPE_CHECKING:
    from lbproxy.dashboard.app import Dashboard


class Ordering:
    """For the operators of one dashboard."""

    def __init__(self, dashboard: Dashboard, balancer: Balancer) -> None:
        self._dashboard = dashboard
        self._balancer = balancer

    def asks(self, order: Order) -> Handler:
        """Answers with the question."""

        async def ask(request: web.Request) -> web.StreamResponse:
            session = self._operator(request)
            question = order.ask(await self._snapshot(), tuple(request.match_info.values()))
            return self._page(session, question)

        return ask

    def gives(self, order: Order) -> Handler:
        """Gives the order, if the form is of this session, and what it said still holds."""

        async def give(request: web.Request) -> web.StreamResponse:
            session, parts = self._operator(request), tuple(request.match_info.values())
            given = await safety.form(request)
            if not session.owns(given.get("csrf", "")):
                raise web.HTTPForbidden(text="The form is not of this session. Load the page again.\n")
            question = order.ask(await self._snapshot(), parts)
            if order.loses(given) and (question.stays or 0) < _seen(given):
                return self._page(session, question, "It has changed since you were asked. Look again.", 409)
            if order.loses(given) and question.stays == 0 and given.get("force") != "yes":
                return self._page(session, question, "No other backend is in rotation.", 409)
            try:
                done = await order.give(self._balancer, parts, given, session.on_behalf)
            except AdminError as error:
                return self._page(session, question, str(error), 409)
            return self._dashboard.message(200, "Done", [done], session, question.back)

        return give

    def _operator(self, request: web.Request) -> Session:
        from lbproxy.dashboard.app import SESSION

        session = request[SESSION]
        if session.role != "operator":
            raise web.HTTPForbidden(text=f"{session.user} may look, and give no orders.\n")
        return session

    async def _snapshot(self) -> Snapshot:
        seen = await self._dashboard.watcher.look()
        if seen.error or seen.snapshot is None:
            raise web.HTTPBadGateway(text=f"{seen.error}\n")
        return seen.snapshot

    def _page(self, session: Session, question: Question, problem: str = "", status: int = 200) -> web.Response:
        main = self._dashboard.render(
            "confirm.html",
            title=question.title,
            problem=problem,
            consequences=question.consequences,
            csrf=session.csrf,
            hidden={} if question.stays is None else {"stays": question.stays},
            weight=question.weight,
            ask_force=question.stays == 0,
            button=question.button,
            back=f"{self._dashboard.ways.prefix}/{question.back}",
        )
        response = self._dashboard.page(question.title, main, session)
        response.set_status(status)
        return response


def _seen(given: Given) -> int:
    """How many the page said would stay; a form without it has seen none."""
    text = given.get("stays", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 0
