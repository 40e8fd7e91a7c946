"""The dashboard in a real Chromium: a ticket opens it, it follows by itself, and what it must not let happen does not.

All tests share one balancer and one browser.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from axe_playwright_python.base import AXE_SCRIPT, AxeResults  # type: ignore[import-untyped]
from playwright.async_api import BrowserContext, Page, Route, expect

from tests.dashboard.site import PASSWORD

from .balancer import children
from .chromium import PATIENCE
from .dashboard import ADMIN, OPERATOR, PAGES, POOL, Site, browsing, by_password, by_ticket, site
from .reloads import reload, rewrite
from .test_memory import MEGABYTE, memory

WIDTHS = (360, 1600)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def at() -> AsyncIterator[Site]:
    folder = Path(tempfile.mkdtemp(prefix="lbp-"))
    try:
        async with site(folder) as found:
            yield found
    finally:
        shutil.rmtree(folder)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def browser(at: Site) -> AsyncIterator[BrowserContext]:
    async with browsing(at) as context:
        yield context


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: BrowserContext) -> AsyncIterator[Page]:
    """A new one of a user who has not signed in. An error in its console fails the test."""
    await browser.clear_cookies()
    page = await browser.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    yield page
    await page.close()
    assert not [one for one in said if not one.startswith("Failed to load resource: ")]


async def test_a_ticket_opens_it(at: Site, page: Page) -> None:
    await by_ticket(page, at)
    assert f"{OPERATOR}@{at.realm.name}, operator" in await page.inner_text(".who")
    await at.balancer.logged("signed_in", "how=kerberos", f"user={OPERATOR}@{at.realm.name}")


async def test_a_backend_that_dies_and_comes_back_is_seen_without_a_reload(at: Site, page: Page) -> None:
    await by_ticket(page, at)
    await page.goto(at.origin + POOL)
    await expect(page.locator("#live")).to_contain_text("live")
    await page.evaluate("window.sameDocument = true")
    began = time.monotonic()
    await at.backends[1].stop()
    await page.wait_for_selector("tr.down", state="attached")
    print(f"from the death to the red mark: {time.monotonic() - began:.3f} s")
    assert "c2" in await page.inner_text("tr.down th")
    assert "connection refused" in await page.inner_text("tr.down")
    await expect(page.locator("#said")).to_contain_text("c2 of connectors is down")
    await at.backends[1].start()
    await page.wait_for_selector("tr.down", state="detached")
    assert await page.evaluate("window.sameDocument")


async def test_a_click_drains_it_and_another_brings_it_back(at: Site, page: Page) -> None:
    await by_ticket(page, at)
    await page.goto(f"{at.origin}{POOL}/c1")
    await page.click("#drain")
    await page.wait_for_selector("text=2 of 3 stay in rotation.")
    await page.click("button.go")
    await page.wait_for_selector("text=c1 is drained")
    assert (await at.balancer.backends())["c1"]["draining"]
    await at.balancer.logged("backend_drained", "backend=c1", f'by="{OPERATOR}@{at.realm.name} via ')
    await page.goto(f"{at.origin}{POOL}/c1")
    await page.click("#ready")
    await page.click("button.go")
    await page.wait_for_selector("text=c1 is ready.")
    assert not (await at.balancer.backends())["c1"]["draining"]


async def test_a_viewer_looks_and_gives_no_orders(at: Site, page: Page) -> None:
    await by_password(page, at, "vera")
    await page.goto(f"{at.origin}{POOL}/c1")
    assert "vera, viewer" in await page.inner_text(".who")
    assert await page.query_selector("#drain") is None
    csrf = await page.get_attribute(".who input", "value")
    asked = await page.goto(f"{at.origin}{POOL}/c1/drain")
    assert asked is not None
    assert asked.status == 403
    sent = f"fetch('{POOL}/c1/drain', {{method: 'POST', body: new URLSearchParams({{csrf: '{csrf}'}})}})"
    assert await page.evaluate(f"{sent}.then(answer => answer.status)") == 403
    assert not (await at.balancer.backends())["c1"]["draining"]


@pytest.mark.parametrize(
    ("other", "why"),
    [
        pytest.param("https://evil.example", "The Origin is another site", id="another site"),
        # A cookie with SameSite is sent here: it is the Origin that gives the form away.
        pytest.param(f"https://evil.{ADMIN}", "The Origin is another site", id="another host of this site"),
    ],
)
async def test_a_form_of_another_site_orders_nothing(at: Site, page: Page, other: str, why: str) -> None:
    """The browser has a session of an operator, and the other page knows every path."""
    await by_ticket(page, at)
    target = f"{at.origin}{POOL}/c1/drain"
    form = f'<form method="post" action="{target}"><input name="stays" value="0"><button>go</button></form>'
    await page.route(f"{other}/", lambda route: route.fulfill(body=form, content_type="text/html"))
    await page.goto(f"{other}/")
    async with page.expect_response(target) as answered:
        await page.click("button")
    answer = await answered.value
    assert answer.status == 403
    await page.wait_for_selector(f"text={why}")
    assert not (await at.balancer.backends())["c1"]["draining"]


async def _everywhere(page: Page, at: Site) -> AsyncIterator[str]:
    """Lead `page` to each page: its name."""
    await page.goto(f"{at.origin}/sign-in")
    yield "sign-in"
    await by_ticket(page, at)
    for name, path in PAGES.items():
        await page.goto(at.origin + path)
        yield name


@pytest_asyncio.fixture(loop_scope="session")  # the backends' own
async def a_backend_is_down(at: Site) -> AsyncIterator[None]:
    """So that there is something in each colour; another is drained."""
    await at.backends[2].stop()
    await at.balancer.admin("/backends/connectors/c2/drain", "POST")
    await at.balancer.until(lambda seen: seen["pools"][0]["backends"][2]["state"] == "down")
    yield
    await at.balancer.admin("/backends/connectors/c2/ready", "POST")
    await at.backends[2].start()


async def _axe(page: Page, **options: object) -> str:
    """What axe has to say of the page as it is; empty: nothing."""
    results = AxeResults(await page.evaluate("options => axe.run(options)", {"resultTypes": ["violations"], **options}))
    report = results.generate_report() if results.violations_count else ""
    assert isinstance(report, str)
    return report


async def _is_wider_than(page: Page, width: int) -> bool:
    await page.set_viewport_size({"width": width, "height": 800})
    found = await page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    assert isinstance(found, bool)
    return found


@pytest.mark.usefixtures("a_backend_is_down")
async def test_axe_finds_nothing_and_no_page_is_wider_than_the_window(at: Site, page: Page) -> None:
    """The dark pages differ in their contrast only."""
    found = {}
    async for name in _everywhere(page, at):
        await page.evaluate(AXE_SCRIPT)
        for width in WIDTHS:
            if await _is_wider_than(page, width):
                found[f"{name}, {width} pixels"] = "wider than the window"
        found[f"{name}, light"] = await _axe(page)
        await page.emulate_media(color_scheme="dark")
        found[f"{name}, dark"] = await _axe(page, runOnly=["color-contrast"])
        await page.emulate_media(color_scheme="light")
    assert len(found) >= 2 * len(PAGES)
    assert {name: text for name, text in found.items() if text} == {}


async def test_axe_sees_what_is_wrong(page: Page) -> None:
    await page.set_content('<html><body style="background: #fff"><p style="color: #ccc">pale</p><img src="x">')
    await page.evaluate(AXE_SCRIPT)
    assert "color-contrast" in await _axe(page, runOnly=["color-contrast"])
    assert "image-alt" in await _axe(page)


async def _focused(page: Page) -> tuple[str, bool]:
    """The text, or the id, of what has the focus, and whether a frame shows it."""
    text, outline = await page.evaluate(
        "(one => [one.id || one.textContent, getComputedStyle(one).outlineStyle])(document.activeElement)"
    )
    return text, outline != "none"


async def _tab_to(page: Page, wanted: str) -> None:
    """Press Tab until `wanted` has the focus; whatever has it on the way shows it."""
    passed = []
    for _ in range(40):
        await page.keyboard.press("Tab")
        text, is_shown = await _focused(page)
        assert is_shown, text
        if text == wanted:
            return
        passed.append(text)
    raise AssertionError(f"{wanted} is not among {passed}")


async def test_a_keyboard_is_enough(at: Site, page: Page) -> None:
    """From the sign-in to an order's question, and past the navigation."""
    await page.goto(f"{at.origin}/sign-in")
    await _tab_to(page, "name")
    await page.keyboard.type("vera")
    await page.keyboard.press("Tab")
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"{at.origin}/")
    await _tab_to(page, "Skip to the content")
    await page.keyboard.press("Enter")
    assert (await _focused(page))[0] == "main"
    await _tab_to(page, "connectors")
    await page.keyboard.press("Enter")
    await page.wait_for_url(at.origin + POOL)
    await _tab_to(page, "Sign out")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("text=You have signed out.")
    await by_ticket(page, at)
    await page.goto(f"{at.origin}{POOL}/c1")
    await _tab_to(page, "drain")
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"{at.origin}{POOL}/c1/drain")
    await _tab_to(page, "Leave it as it is")
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"{at.origin}{POOL}/c1")


async def test_every_page_can_be_read_without_scripts(at: Site, page: Page) -> None:
    session = await page.context.new_cdp_session(page)
    await session.send("Emulation.setScriptExecutionDisabled", {"value": True})
    words = {
        "overview": "3 of 3 in rotation",
        "pool": "in rotation",
        "backend": "The last hour",
        "connections": "client connections",
        "certificates": "Certificates",
        "rollouts": "Rollouts",
        "events": "signed_in",
        "drain": "2 of 3 stay in rotation",
    }
    async for name in _everywhere(page, at):
        text = await page.inner_text("main")
        assert words.get(name, "") in text, name
        if name in words and name != "drain":
            assert "Without scripts, load the page again" in await page.inner_text("footer")


async def test_a_reload_ends_no_session_but_takes_away_what_is_no_longer_granted(at: Site, page: Page) -> None:
    """The page that is open goes on by itself, and its forms can be sent, until its user has no role any more."""
    before = at.balancer.config["admin"]
    await by_ticket(page, at)
    await page.goto(f"{at.origin}{POOL}/c1/drain")
    await reload(at.balancer)
    await page.click("button.go")
    await page.wait_for_selector("text=c1 is drained")
    await at.balancer.admin("/backends/connectors/c1/ready", "POST")
    await page.goto(at.origin + POOL)
    await expect(page.locator("#live")).to_contain_text("live")
    await rewrite(at.balancer, admin=before | {"web": before["web"] | {"operators": ["nobody@CORP.EXAMPLE"]}})
    await reload(at.balancer)
    await page.wait_for_selector("text=Your session has ended.")
    await page.goto(f"{at.origin}{POOL}/c1/drain")
    await page.wait_for_selector("h1:text('Sign in')")
    await rewrite(at.balancer, admin=before)
    await reload(at.balancer)


BATCHES, REFRESHES = (200, 500) if os.environ.get("LBPROXY_FULL") else (2, 5)
EVENTS = 200
"""Of a batch."""


class Updates:
    """Answers for the server: `EVENTS` updates of `main` at a time, and then the browser asks for the next ones."""

    def __init__(self, main: str) -> None:
        self.batches = 0
        self.wanted = 1
        self.done = asyncio.Event()
        self.go_on = asyncio.Event()
        self._main = main.splitlines()

    async def __call__(self, route: Route) -> None:
        if self.batches == self.wanted:
            self.done.set()
            await self.go_on.wait()
        self.batches += 1
        await route.fulfill(
            body="retry: 1\n\n" + "".join(map(self._event, range(EVENTS))), content_type="text/event-stream"
        )

    def _event(self, number: int) -> str:
        """With more or less in it than the one before."""
        lines = [*(f"<p>update {number}</p>" for _ in range(number % 5)), *self._main, f"<p>{number}</p>"]
        return "event: page\n" + "".join(f"data: {line}\n" for line in lines) + "\n"

    async def until(self, batches: int) -> None:
        """Wait until so many have been taken."""
        async with asyncio.timeout(PATIENCE):
            self.wanted = batches
            self.go_on.set()
            await asyncio.sleep(0)
            self.go_on.clear()
            self.done.clear()
            await self.done.wait()


async def _held(page: Page) -> dict[str, int]:
    """What the page has: documents, nodes and listeners, without garbage."""
    session = await page.context.new_cdp_session(page)
    await session.send("HeapProfiler.collectGarbage")
    found: dict[str, int] = await session.send("Memory.getDOMCounters")
    await session.detach()
    return found


async def test_a_page_that_stays_open_for_a_day_does_not_grow(at: Site, page: Page) -> None:
    await by_ticket(page, at)
    await page.goto(at.origin + POOL)
    updates = Updates(await page.inner_html("main"))
    await page.route("**/stream?*", updates)
    await page.reload()
    await asyncio.wait_for(updates.done.wait(), PATIENCE)
    before = await _held(page)
    await updates.until(1 + BATCHES)
    after = await _held(page)
    print(before, after)
    assert all(after[what] <= before[what] + 50 for what in before), (before, after)


async def test_the_focus_stays_while_lines_above_it_come_and_go(at: Site, page: Page) -> None:
    await by_ticket(page, at)
    await page.goto(at.origin + "/")
    updates = Updates(await page.inner_html("main"))
    await page.route("**/stream?*", updates)
    await page.reload()
    await asyncio.wait_for(updates.done.wait(), PATIENCE)
    await page.focus("main .cards a")
    await updates.until(2)
    assert await page.inner_text("main > p") == "update 199", "lines have come and gone, and some are there"
    assert (await _focused(page))[0] == "connectors"


async def test_pages_that_are_loaded_again_all_day_leave_nothing(at: Site, page: Page) -> None:
    """In the balancer, and in the process that serves the dashboard."""
    await by_ticket(page, at)
    await page.goto(at.origin + POOL)
    processes = [at.balancer.pid, *children(at.balancer.pid)]
    assert len(processes) == 2
    before = [memory(pid, "Rss") for pid in processes]
    for _ in range(REFRESHES):
        await page.reload()
    after = [memory(pid, "Rss") for pid in processes]
    print(before, after)
    assert all(late < early + 8 * MEGABYTE for early, late in zip(before, after, strict=True)), (before, after)
