"""Pictures of the dashboard's pages for docs/dashboard.md: .venv/bin/python -m tools.dashboard_pictures"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from tests.e2e.chromium import PAGES, Site, by_ticket, chromium, site

DOCS = Path(__file__).parents[1] / "docs" / "dashboard"


async def users(at: Site) -> None:
    """Some requests, so that there is something to see."""
    for _ in range(120):
        await at.balancer.ask()


async def main() -> None:
    """One backend is down, and one page is dark."""
    DOCS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="lbp-") as folder:
        async with site(Path(folder)) as at, chromium(at) as browser:
            await users(at)
            await at.backends[1].stop()
            await at.balancer.logged("backend_ejected", "backend=c2")
            await users(at)
            page = await browser.new_page()
            await page.set_viewport_size({"width": 1000, "height": 640})
            await page.goto(f"{at.origin}/sign-in")
            await page.screenshot(path=DOCS / "sign-in.png")
            await by_ticket(page, at)
            for name, path in PAGES.items():
                await page.emulate_media(color_scheme="dark" if name == "events" else "light")
                await page.goto(f"{at.origin}{path}")
                await page.screenshot(path=DOCS / f"{name}.png")


if __name__ == "__main__":
    asyncio.run(main())
