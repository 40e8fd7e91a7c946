"""Sign-in at [admin.web]: by ticket, client certificate or password.

Each sign-in begins a session of its own, and ends the one that the browser had: a token that was known before is worth
nothing after. Where to go on is a page of the dashboard, or the first one.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from aiohttp import web
from cryptography import x509

from lbproxy.auth.certificate import tolerant_of_names
from lbproxy.dashboard import kerberos, safety
from lbproxy.dashboard.attempts import Attempts
from lbproxy.dashboard.kerberos import Acceptor
from lbproxy.dashboard.pages import Missing, link, page_at
from lbproxy.dashboard.passwords import Passwords, is_name
from lbproxy.dashboard.sessions import Role

if TYPE_CHECKING:
    from lbproxy.dashboard.app import Dashboard

_MOST_WAITING = 8
"""Passwords that may wait to be looked at: each takes 64 MiB and a tenth of a second, one after the other."""

_LONGEST_NAME = 300
"""Characters of a principal or a subject."""

Tell = Callable[..., None]
"""Logs an event: its name, whether it is a warning, and its fields."""


class SignIn:
    """The ways of [admin.web] that there are."""

    def __init__(
        self,
        acceptor: Acceptor | None,
        by_certificate: bool,
        passwords: Passwords | None,
        role: Callable[[str, str], Role | None],
        attempts: Attempts,
        tell: Tell,
    ) -> None:
        """role: of whoever has signed in that way under that name."""
        self._acceptor = acceptor
        self._by_certificate = by_certificate
        self._passwords = passwords
        self._role = role
        self._attempts = attempts
        self._tell = tell
        self._looking = asyncio.Semaphore(1)
        self._waiting = 0

    def __repr__(self) -> str:
        return f"<sign-in, {self._attempts!r}>"

    async def elsewhere(self, request: web.Request) -> web.StreamResponse:
        """Whoever has not signed in is led to the page where to; what is no page is refused."""
        if request.method != "GET":
            raise web.HTTPForbidden(text="You have not signed in.\n")
        wanted = _page(request.rel_url.raw_path.removeprefix("/"))
        return web.Response(status=303, headers={"Location": f"/sign-in{_next(wanted)}"})

    def routes(self, dashboard: Dashboard) -> Iterable[web.AbstractRouteDef]:
        """The page, and what it leads to."""
        at = _At(self, dashboard)
        found = [web.get("/sign-in", at.show)]
        if self._acceptor is not None:
            found.append(web.get("/sign-in/kerberos", at.by_ticket, allow_head=False))
        if self._by_certificate:
            found.append(web.get("/sign-in/certificate", at.by_certificate, allow_head=False))
        if self._passwords is not None:
            found.append(web.post("/sign-in", at.by_password))
        return found

    # --- what `_At` asks

    def ways(self) -> dict[str, bool]:
        """Which there are."""
        return {
            "kerberos": self._acceptor is not None,
            "certificate": self._by_certificate,
            "password": self._passwords is not None,
        }

    @contextmanager
    def attempt(self, address: str, name: str = "") -> Iterator[None]:
        """While in it, one is looked at. Raises HTTPTooManyRequests."""
        wait = self._attempts.wait(address, name)
        if wait:
            if self._attempts.is_news(address, name):
                self._tell("sign_in_limited", True, address=address, user=self.known(name) or None, wait=f"{wait:.0f}")
            text = f"Too many attempts have failed. Try again in {math.ceil(wait / 60)} minutes.\n"
            raise web.HTTPTooManyRequests(text=text, headers={"Retry-After": str(math.ceil(wait))})
        with self._attempts.under_way(address, name):
            yield

    def failed(self, how: str, address: str, user: str, why: str, typed: str = "") -> None:
        """Count and log it. typed: a name of somebody, perhaps."""
        self._attempts.failed(address, typed)
        self._tell("sign_in_failed", True, how=how, address=address, user=user[:_LONGEST_NAME] or None, why=why)

    def role(self, how: str, user: str) -> Role | None:
        """See `__init__`."""
        return self._role(how, user)

    def signed_in(self, how: str, address: str, user: str, role: Role) -> None:
        """Log it."""
        if how == "password":
            self._attempts.succeeded(address, user)
        self._tell("signed_in", False, how=how, address=address, user=user, role=role)

    async def ticket(self, token: bytes) -> kerberos.Answer:
        """In a thread."""
        assert self._acceptor is not None
        return await asyncio.to_thread(self._acceptor.accept, token)

    async def password(self, name: str, password: str) -> tuple[str, bool]:
        """The name if there is one, else empty, and whether the password is right. Raises HTTPServiceUnavailable."""
        assert self._passwords is not None
        if self._waiting >= _MOST_WAITING:
            raise web.HTTPServiceUnavailable(text="Too many sign in now.\n", headers={"Retry-After": "5"})
        self._waiting += 1
        try:
            async with self._looking:
                try:
                    self._passwords.refresh()
                except ValueError as error:
                    self._tell("passwords_refused", True, why=str(error))
                right = await asyncio.to_thread(self._passwords.verify, name, password)
                return (name if self._passwords.knows(name) else ""), right
        finally:
            self._waiting -= 1

    def known(self, name: str) -> str:
        """The name if there is one: what else was typed, a password perhaps, is not logged."""
        return name if self._passwords is not None and self._passwords.knows(name) else ""


class _At:
    """The routes, for one dashboard."""

    def __init__(self, sign_in: SignIn, dashboard: Dashboard) -> None:
        self._sign_in = sign_in
        self._dashboard = dashboard

    async def show(self, request: web.Request) -> web.StreamResponse:
        """The page."""
        return self._page(request)

    async def by_ticket(self, request: web.Request) -> web.StreamResponse:
        """RFC 4559."""
        address = _address(request)
        _asked_for_here(request)
        try:
            token = kerberos.token_of(request.headers.get("Authorization", ""))
        except ValueError as error:
            raise web.HTTPBadRequest(text=f"{error}\n") from None
        if token is None:
            return self._page(request, "Your browser has shown no ticket.", 401, kerberos.challenge())
        with self._sign_in.attempt(address):
            answer = await self._sign_in.ticket(token)
            if answer.refused:
                self._sign_in.failed("kerberos", address, "", answer.refused)
                return self._page(request, "Your ticket was not accepted.", 401, kerberos.challenge())
        response = self._enter(request, "kerberos", answer.principal)
        if answer.reply:
            response.headers["WWW-Authenticate"] = kerberos.challenge(answer.reply)
        return response

    async def by_certificate(self, request: web.Request) -> web.StreamResponse:
        """The TLS handshake has verified it."""
        _asked_for_here(request)
        shown = _certificate(request)
        if shown is None:
            return self._page(request, "Your browser has shown no certificate.", 401)
        with tolerant_of_names():
            subject = x509.load_der_x509_certificate(shown).subject.rfc4514_string()
        with self._sign_in.attempt(_address(request)):
            pass
        return self._enter(request, "certificate", subject)

    async def by_password(self, request: web.Request) -> web.StreamResponse:
        """The form of the page; the guard has looked where it comes from."""
        address, given = _address(request), await safety.form(request)
        name = given.get("name", "")
        typed = name if is_name(name) else ""
        with self._sign_in.attempt(address, typed):
            known, right = await self._sign_in.password(name, given.get("password", ""))
            if not right:
                self._sign_in.failed("password", address, known, "wrong name or password", typed)
                return self._page(request, "The name or the password is wrong.", 401)
        return self._enter(request, "password", name)

    def _enter(self, request: web.Request, how: str, user: str) -> web.Response:
        dashboard, address = self._dashboard, _address(request)
        if not (user.isprintable() and 0 < len(user) <= _LONGEST_NAME):  # orders could not be logged with it
            self._sign_in.failed(how, address, user, "the name is empty, too long, or not printable")
            lines = [f"Your name is empty, has more than {_LONGEST_NAME} characters, or some that cannot be shown."]
            return dashboard.message(403, "Not admitted", lines, None, "sign-in", "Sign in as somebody else")
        role = self._sign_in.role(how, user)
        if role is None:
            self._sign_in.failed(how, address, user, "neither viewers nor operators has this name")
            lines = [f"You are {user}. Neither viewers nor operators of [admin.web] has you."]
            return dashboard.message(403, "Not admitted", lines, None, "sign-in", "Sign in as somebody else")
        before = dashboard.session_of(request)
        if before is not None:
            dashboard.sessions.end(before)
        token, _ = dashboard.sessions.begin(user, how, role, on_behalf=user)
        self._sign_in.signed_in(how, address, user, role)
        response = web.Response(status=303, headers={"Location": f"/{_page(request.query.get('next', ''))}"})
        dashboard.let_in(response, token)
        return response

    def _page(self, request: web.Request, problem: str = "", status: int = 200, challenge: str = "") -> web.Response:
        wanted = _page(request.query.get("next", ""))
        main = self._dashboard.render("sign_in.html", problem=problem, ways=self._sign_in.ways(), next=_next(wanted))
        response = self._dashboard.page("Sign in", main, None)
        response.set_status(status)
        if challenge:
            response.headers["WWW-Authenticate"] = challenge
        return response


def _page(path: str) -> str:
    """The path of a page of the dashboard, as it is linked; empty, the first one, if it is none of them."""
    parts = [unquote(part) for part in path.split("/")]
    try:
        page_at("/".join(parts), {})
    except Missing:
        return ""
    return link(*parts)


def _asked_for_here(request: web.Request) -> None:
    """Raises HTTPSeeOther where another site has a browser ask: it could sign its user in, or use up their attempts."""
    if request.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none"):
        raise web.HTTPSeeOther(f"/sign-in{_next(_page(request.query.get('next', '')))}")


def _next(path: str) -> str:
    return f"?next={link(path)}" if path else ""


def _address(request: web.Request) -> str:
    peer: Any = None if request.transport is None else request.transport.get_extra_info("peername")
    return str(peer[0]) if peer else ""


def _certificate(request: web.Request) -> bytes | None:
    """In DER, as the handshake has verified it."""
    found: Any = None if request.transport is None else request.transport.get_extra_info("ssl_object")
    return None if found is None else found.getpeercert(binary_form=True)
