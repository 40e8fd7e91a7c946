from __future__ import annotations

import pytest

from lbproxy.control.fleet.views import RolloutView
from lbproxy.dashboard.balancer import Balancer
from lbproxy.dashboard.orders import ORDERS
from lbproxy.dashboard.pages import Missing
from tests.control.live import connection
from tests.control.sample import fleet, replica

from .browsing import browsing
from .conftest import Site

ONE = "/pools/connectors/c1"


async def test_a_weight_is_a_number(site: Site, balancer: Balancer) -> None:
    async with browsing(balancer) as browser:
        browser.sign_in("olga", "operator")
        status, html = await browser.order(f"{ONE}/weight", weight="007")
        assert (status, "c1 has weight 7." in html) == (200, True)
        for wrong in ("101", "-1", "x", "", "1.5", "9999"):
            status, html = await browser.order(f"{ONE}/weight", weight=wrong)
            assert status == 409
            assert "The weight is a whole number from 0 to 100." in html
    assert site.backends.orders == ["set c1 {'weight': 7}"]


async def test_ready_reload_and_what_a_reload_refuses(site: Site, balancer: Balancer) -> None:
    async with browsing(balancer) as browser:
        browser.sign_in("olga", "operator")
        status, html = await browser.order(f"{ONE}/ready")
        assert (status, "c1 is ready." in html) == (200, True)
        status, html = await browser.order("/reload")
        assert (status, "The configuration as it is now is served." in html) == (200, True)
        site.reload_problems = ["/etc/lbproxy/lbproxy.toml:3: pool: missing"]
        status, html = await browser.order("/reload")
        assert (status, "lbproxy.toml:3: pool: missing" in html) == (409, True)


async def test_a_connection_is_ended_and_one_that_has_gone_is_said(site: Site, balancer: Balancer) -> None:
    identity = connection()["id"]
    async with browsing(balancer) as browser:
        browser.sign_in("vera", "viewer")
        _, html = await browser.get("/connections")
        assert (identity in html, "/kick" in html) == (True, False)
        browser.sign_in("olga", "operator", "olga@CORP.EXAMPLE")
        assert f'href="/connections/{identity}/kick"' in (await browser.get("/connections"))[1]
        status, html = await browser.order(f"/connections/{identity}/kick")
        assert (status, f"Connection {identity} has ended." in html) == (200, True)
        status, html = await browser.order("/connections/%3Cb%3E%2Fx/kick")
        assert (status, "there is no connection &lt;b&gt;/x" in html) == (409, True)
    [(kicked, by)] = site.connections.kicked
    assert kicked == identity
    assert by.startswith("olga@CORP.EXAMPLE via ")


def rollout(held: bool) -> RolloutView:
    return {
        "pool": "connectors", "by": "olga", "replica": "lb2", "since": 0.0, "held": held, "target": "c2", "step": "",
        "updated": ["c1"],
    }  # fmt: skip


def test_a_rollout_is_cancelled_or_forgotten(site: Site) -> None:
    ask = ORDERS["/rollouts/{pool}/cancel"].ask
    site.view["rollouts"] = [rollout(held=True)]
    asked = ask(site.view, ("connectors",))
    assert asked.consequences == [
        "The command of olga on lb2 stops within seconds.",
        "Updated: c1. c2 stays as it is then, perhaps drained.",
    ]
    site.view["rollouts"] = [rollout(held=False)]
    assert ask(site.view, ("connectors",)).button == "Forget it"
    site.view["rollouts"] = [rollout(held=True) | {"replica": ""}]
    assert ask(site.view, ("connectors",)).consequences[0] == "The command of olga stops within seconds."
    with pytest.raises(Missing):
        ask(site.view, ("raw",))


def test_in_a_fleet_it_is_said_that_all_do_the_same(site: Site) -> None:
    site.view["fleet"] = fleet(replica("lb1"))
    for order in ("drain", "ready", "weight"):
        asked = ORDERS[f"/pools/{{pool}}/{{backend}}/{order}"].ask(site.view, ("connectors", "c1"))
        assert asked.consequences[-1] == "Every replica of the fleet does the same."
        with pytest.raises(Missing):
            ORDERS[f"/pools/{{pool}}/{{backend}}/{order}"].ask(site.view, ("connectors", "c9"))
