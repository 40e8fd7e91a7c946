from __future__ import annotations

import pytest

from lbproxy.control.fleet.views import RolloutView
from lbproxy.dashboard.balancer import Balancer
from lbproxy.dashboard.pages import Missing, page_at, plots
from lbproxy.dashboard.watcher import Seen
from tests.control.sample import backend, dead_backend, expiry, fleet, pool, replica, snapshot

from .browsing import Browser, browsing
from .conftest import Site

EVIL = "<img src=x onerror=alert(1)>"


def test_a_page_is_at_its_path() -> None:
    assert page_at("", {}).name == "overview"
    assert page_at("connections", {"pool": "p", "other": "x", "user": "u" * 500}).query == (
        ("pool", "p"), ("user", "u" * 200),
    )  # fmt: skip
    assert page_at("events", {"pool": "p"}).query == ()
    assert page_at("pools/p/c1", {}).parts == ("p", "c1")


@pytest.mark.parametrize("path", ["nope", "pools", "pools/", "pools/p/", "pools//c1", "pools/p/c1/x", "overview"])
def test_others_are_not_there(path: str) -> None:
    with pytest.raises(Missing):
        page_at(path, {})


async def test_a_page_is_made_once_for_each_role(site: Site, balancer: Balancer) -> None:
    async with browsing(balancer) as browser:
        pages, seen = browser.dashboard.pages, Seen(1.0, site.view)
        page = page_at("pools/connectors/c1", {})
        one = await pages.main(page, "operator", seen)
        assert await pages.main(page, "operator", seen) is one
        other = await pages.main(page, "viewer", seen)
        assert 'id="drain"' in one
        assert 'id="drain"' not in other
        assert await pages.main(page, "operator", Seen(2.0, site.view)) is not one


PATHS = ("", "pools/connectors", "pools/connectors/c1", "connections", "certificates", "rollouts", "events")


async def every(browser: Browser) -> str:
    found = []
    for path in PATHS:
        status, html = await browser.get(f"/{path}")
        assert status == 200, (path, html)
        found.append(html)
    return "".join(found)


async def test_whatever_others_have_named_stays_text(site: Site, balancer: Balancer) -> None:
    """Backends, users, certificates, replicas, events and configuration may have any name."""
    bad = dead_backend("c1") | {"detail": EVIL, "url": EVIL, "facts": {EVIL: EVIL}, "source": EVIL}
    rollout: RolloutView = {
        "pool": EVIL, "by": EVIL, "replica": EVIL, "since": 0.0, "held": True, "target": EVIL, "step": EVIL,
        "updated": [EVIL],
    }  # fmt: skip
    site.view = {
        **snapshot(),
        "server_url": EVIL,
        "pools": [pool("connectors", bad)],
        "expiries": [expiry("certificate", EVIL, 3)],
        "fleet": fleet(replica(EVIL, host=EVIL, configuration=EVIL), error=EVIL),
        "rollouts": [rollout],
    }
    site.view["pools"][0]["outliers"] = {"c1": [EVIL]}
    site.logs("tried", backend="c1", why=EVIL)
    async with browsing(balancer) as browser:
        browser.sign_in(EVIL, "operator")
        html = await every(browser)
    assert "<img" not in html
    assert html.count("&lt;img src=x onerror=alert(1)&gt;") > 20


async def test_a_pool_whose_names_have_everything_is_linked(site: Site, balancer: Balancer) -> None:
    site.view["pools"] = [pool("a/b?c", backend("x y/&"))]
    async with browsing(balancer) as browser:
        browser.sign_in("olga", "viewer")
        _, html = await browser.get("/")
        assert 'href="/pools/a%2Fb%3Fc"' in html


async def test_a_backend_that_has_gone_is_said_to_have(site: Site, balancer: Balancer) -> None:
    async with browsing(balancer) as browser:
        browser.sign_in("olga", "viewer")
        status, html = await browser.get("/pools/connectors/c9")
        assert (status, "may have gone" in html) == (404, True)


async def test_a_balancer_that_does_not_answer_has_pages_too(site: Site, balancer: Balancer) -> None:
    site.path.rename(site.path.with_name("elsewhere"))
    async with browsing(balancer) as browser:
        browser.sign_in("olga", "viewer")
        for path in ("", "pools/connectors", "events"):
            status, html = await browser.get(f"/{path}")
            assert (status, "the balancer does not answer" in html) == (200, True)
    site.path.with_name("elsewhere").rename(site.path)


def test_the_last_hour_ends_now() -> None:
    of, one = pool("p", backend("c1")), backend("c1")
    before = {"answers": [600], "server_errors": [0], "p50": [0.1], "p99": [0.2]}
    drawn = plots(Seen(0.0, None, (), {"p/c1": before}), of, one)  # type: ignore[dict-item]  # as JSON gives it
    assert "at most 10.0, last" in drawn.requests
    assert "p99 in the last hour: 200 ms to 800 ms, last 800 ms" in drawn.latency
