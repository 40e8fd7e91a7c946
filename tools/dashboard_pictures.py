"""Pictures of the dashboard's pages for docs/dashboard.md: .venv/bin/python -m tools.dashboard_pictures"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from playwright.async_api import Page, expect

from tests.e2e.dashboard import PAGES, POOL, Site, browsing, by_ticket, site

DOCS = Path(__file__).parents[1] / "docs" / "dashboard"

DARK = ("backend", "events")

SHOWN = ("overview", "pool", "backend", "connections", "certificates", "rollouts", "events", "drain")


async def users(at: Site) -> None:
    """Some requests, so that there is something to see."""
    for _ in range(120):
        await at.balancer.ask()


async def take(page: Page, name: str, width: int = 1280) -> None:
    """Of the page that is open, down to its end or to 720 pixels."""
    if await page.query_selector("#live"):
        await expect(page.locator("#live")).to_contain_text("live")
    await page.set_viewport_size({"width": width, "height": 100})
    height = await page.evaluate("document.documentElement.scrollHeight")
    await page.set_viewport_size({"width": width, "height": min(height, 720)})
    await page.screenshot(path=DOCS / f"{name}.png")


async def main() -> None:
    """One backend is down, one is drained; some pages are dark, and one is as a phone shows it."""
    DOCS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="lbp-") as folder:
        async with site(Path(folder)) as at, browsing(at) as browser:
            await users(at)
            await at.backends[1].stop()
            await at.balancer.until(lambda seen: seen["pools"][0]["backends"][1]["state"] == "down")
            await users(at)
            page = await browser.new_page()
            await page.goto(f"{at.origin}/sign-in")
            await take(page, "sign-in", 600)
            await by_ticket(page, at)
            async with await at.balancer.connect() as client:
                await client.ask("/")
                for name in SHOWN:
                    await page.emulate_media(color_scheme="dark" if name in DARK else "light")
                    await page.goto(at.origin + PAGES[name])
                    await take(page, name)
            await page.emulate_media(color_scheme="light")
            await page.goto(at.origin + POOL)
            await take(page, "phone", 360)


if __name__ == "__main__":
    asyncio.run(main())
