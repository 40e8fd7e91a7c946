from __future__ import annotations

import asyncio

from lbproxy.dashboard.balancer import Balancer
from tests.control.sample import backend, dead_backend, pool

from .browsing import browsing, fields
from .conftest import Site

DRAIN = "/pools/connectors/c1/drain"


async def test_an_order_says_what_will_happen_and_is_given_by_its_form(site: Site, balancer: Balancer) -> None:
    site.view["pools"] = [pool("connectors", backend("c1"), backend("c2"), backend("c3"))]
    async with browsing(balancer) as browser:
        browser.sign_in("olga", "operator", "olga@CORP.EXAMPLE")
        _, html = await browser.get(DRAIN)
        assert "2 of 3 stay in rotation." in html
        assert site.backends.orders == []
        status, html = await browser.post(DRAIN, fields(html))
        assert (status, "c1 is drained; nothing to finish." in html) == (200, True)
    assert site.backends.orders == ["drain c1"]
    assert site.backends.by[0].startswith("olga@CORP.EXAMPLE via ")


async def test_a_viewer_gives_none(site: Site, balancer: Balancer) -> None:
    async with browsing(balancer) as browser:
        browser.sign_in("vera", "viewer")
        [session] = browser.dashboard.sessions._by_digest.values()
        assert (await browser.get(DRAIN))[0] == 403
        for path in (DRAIN, "/pools/connectors/c1/ready", "/pools/connectors/c1/weight", "/reload"):
            status, html = await browser.post(path, {"csrf": session.csrf, "weight": "0"})
            assert (status, "vera may look, and give no orders." in html) == (403, True)
    assert site.backends.orders == []


async def test_a_forged_form_gives_none(site: Site, balancer: Balancer) -> None:
    async with browsing(balancer) as browser:
        browser.sign_in("olga", "operator")
        _, html = await browser.get(DRAIN)
        good = fields(html)
        assert (await browser.post(DRAIN, good | {"csrf": "x"}))[0] == 403
        assert (await browser.post(DRAIN, {}))[0] == 403
        assert (await browser.post(DRAIN, good, Origin="https://evil.example"))[0] == 403
        assert (await browser.post(DRAIN, good, **{"Sec-Fetch-Site": "cross-site"}))[0] == 403
        assert (await browser.post(DRAIN, good, Host="evil.example"))[0] == 421
    assert site.backends.orders == []


async def test_two_operators_are_asked_again_when_less_stays_than_they_saw(site: Site, balancer: Balancer) -> None:
    async with browsing(balancer) as browser:
        browser.sign_in("olga", "operator")
        _, html = await browser.get(DRAIN)
        assert "1 of 2 stays in rotation." in html
        site.view["pools"] = [pool("connectors", backend("c1"), dead_backend("c2"))]
        await asyncio.sleep(0)
        browser.dashboard.watcher._looked = float("-inf")
        status, html = await browser.post(DRAIN, fields(html))
        assert (status, "It has changed since you were asked." in html) == (409, True)
        assert "users will not be served" in html
        assert site.backends.orders == []
        status, html = await browser.post(DRAIN, fields(html))
        assert (status, "No other backend is in rotation." in html) == (409, True)
        assert (await browser.post(DRAIN, fields(html) | {"force": "yes"}))[0] == 200
    assert site.backends.orders == ["force c1"]


async def test_an_order_for_a_backend_that_has_just_gone(site: Site, balancer: Balancer) -> None:
    async with browsing(balancer) as browser:
        browser.sign_in("olga", "operator")
        _, html = await browser.get(DRAIN)
        del site.backends.views["c1"]  # the page does not know it yet
        status, html = await browser.post(DRAIN, fields(html))
        assert (status, "no backend is called connectors/c1" in html) == (409, True)
        site.view["pools"] = [pool("connectors", backend("c2"))]
        browser.dashboard.watcher._looked = float("-inf")
        assert (await browser.post(DRAIN, fields(html)))[0] == 404


async def test_nothing_is_ordered_while_the_balancer_does_not_answer(site: Site, balancer: Balancer) -> None:
    site.path.rename(site.path.with_name("elsewhere"))
    async with browsing(balancer) as browser:
        browser.sign_in("olga", "operator")
        status, html = await browser.get("/reload")
        assert (status, "the balancer does not answer" in html) == (502, True)
    site.path.with_name("elsewhere").rename(site.path)
