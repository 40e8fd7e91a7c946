from __future__ import annotations

from lbproxy.dashboard.balancer import Balancer

from .browsing import COOKIE, browsing
from .conftest import Site


async def test_nobody_sees_anything_without_a_session(site: Site, balancer: Balancer) -> None:
    async with browsing(balancer) as browser:
        for path in ("/", "/events", "/reload", "/pools/connectors/c1/drain"):
            assert await browser.get(path) == (403, "not signed in")
        assert (await browser.get("/stream?path="))[1] == "event: over\r\ndata: Your session has ended.\r\n\r\n"
        assert (await browser.post("/reload", {}))[0] == 403
        browser.session.cookie_jar.update_cookies({COOKIE: "x" * 43})
        assert (await browser.get("/"))[0] == 403
    assert site.looks == 0


async def test_the_files_of_pages_are_there_for_everybody_and_no_others(balancer: Balancer) -> None:
    async with browsing(balancer, prefix="/p") as browser:
        for name, kind in (("dashboard.css", "text/css"), ("dashboard.js", "text/javascript"), ("icon.svg", "image/")):
            async with browser.session.get(f"{browser.origin}/p/static/{name}") as answer:
                assert (answer.status, answer.content_type.startswith(kind)) == (200, True)
                assert answer.headers["Cache-Control"] == "no-store"
        for path in ("/p/static/../app.py", "/p/static/%2e%2e%2fapp.py", "/p/static/base.html"):
            assert (await browser.get(path))[0] in (403, 404)


async def test_signing_out_needs_a_form_of_the_session(site: Site, balancer: Balancer) -> None:
    async with browsing(balancer) as browser:
        browser.sign_in("olga", "viewer")
        assert (await browser.get("/sign-out"))[0] == 404
        assert (await browser.post("/sign-out", {"csrf": "x"}))[0] == 403
        [session] = browser.dashboard.sessions._by_digest.values()
        status, html = await browser.post("/sign-out", {"csrf": session.csrf})
        assert (status, "You have signed out." in html) == (200, True)
        assert (await browser.get("/"))[0] == 403
        assert session.over


async def test_a_cookie_is_of_no_use_to_scripts(balancer: Balancer) -> None:
    from aiohttp import web

    async with browsing(balancer, prefix="/p", scheme="https") as browser:
        response = web.Response()
        browser.dashboard.let_in(response, "token")
        assert response.cookies[COOKIE].OutputString() == f"{COOKIE}=token; HttpOnly; Path=/p/; SameSite=Lax; Secure"


async def test_what_is_wrong_is_a_page_with_the_headers(balancer: Balancer) -> None:
    async with browsing(balancer) as browser:
        browser.sign_in("olga", "viewer")
        async with browser.session.get(f"{browser.origin}/nope") as answer:
            assert (answer.status, answer.content_type) == (404, "text/html")
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        async with browser.session.put(f"{browser.origin}/", headers={"Origin": browser.origin}) as answer:
            assert answer.status == 405
