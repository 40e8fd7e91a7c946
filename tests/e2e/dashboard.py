"""A balancer with [admin.web] in front of three backends, and one Chromium that has a Kerberos ticket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from playwright.async_api import BrowserContext, Page, async_playwright, expect

from lbproxy.demo.realm import Realm
from tests.dashboard.site import PASSWORD, make_files
from tests.ports import free_port

from . import chromium
from .backend import ScriptedBackend, serve
from .balancer import Balancer, running
from .client import HOST
from .configuration import configuration
from .surroundings import Surroundings
from .tls import Certificate

ADMIN = "admin.test"
OPERATOR = "ops"

POOL = "/pools/connectors"

PAGES = {
    "overview": "/",
    "pool": POOL,
    "backend": f"{POOL}/c1",
    "connections": "/connections",
    "certificates": "/certificates",
    "rollouts": "/rollouts",
    "events": "/events",
    "drain": f"{POOL}/c1/drain",
    "weight": f"{POOL}/c1/weight",
    "reload": "/reload",
    "missing": "/nothing",
}
"""Name -> path, of those for whoever has signed in."""


class Site(NamedTuple):
    """origin: of the dashboard. realm: in which `OPERATOR` has a password."""

    balancer: Balancer
    backends: list[ScriptedBackend]
    origin: str
    realm: Realm
    folder: Path


@asynccontextmanager
async def site(folder: Path) -> AsyncIterator[Site]:
    """Everything but the browser. folder: its path is short enough for a Unix socket."""
    trust = make_files(folder, ADMIN, HOST)
    async with AsyncExitStack() as stack:
        realm = stack.enter_context(Realm(folder / "realm"))
        realm.add_users({OPERATOR: "secret"})
        keytab = realm.add_service(f"HTTP/{ADMIN}")
        backends = [ScriptedBackend(name, serve) for name in ("c1", "c2", "c3")]
        for backend in backends:
            await backend.start()
            stack.push_async_callback(backend.stop)
        own = Certificate(folder / "web.pem", folder / "web.key")
        check = {"kind": "tcp", "interval": "100ms", "timeout": "20s", "rise": 1, "fall": 1}
        config = configuration(
            folder, [(one.name, one.url) for one in backends], pool={"check": check}, certificate=own
        )
        port = free_port()
        config["admin"]["web"] = {
            "bind": f"127.0.0.1:{port}", "certificate": "web.pem", "key": "web.key",
            "sign_in": ["kerberos", "password"], "keytab": str(keytab), "passwords": "passwd",
            "viewers": ["vera"], "operators": [f"{OPERATOR}@{realm.name}"],
        }  # fmt: skip
        around = Surroundings(environment=realm.acceptor_env("dashboard"))
        balancer = await stack.enter_async_context(running(config, folder, trust, around))
        yield Site(balancer, backends, f"https://{ADMIN}:{port}", realm, folder)


@asynccontextmanager
async def browsing(of: Site) -> AsyncIterator[BrowserContext]:
    """Debian's Chromium, with a ticket of `OPERATOR`."""
    profile = of.folder / "profile"
    profile.mkdir()
    async with async_playwright() as playwright:
        context = await playwright.chromium.launch_persistent_context(
            profile,
            executable_path=chromium.program(),
            env={"HOME": str(profile), "PATH": "/usr/bin:/bin", **of.realm.kinit(OPERATOR)},
            args=[*chromium.options(ADMIN, of.folder / "web.pem", profile), chromium.tickets_for(ADMIN)],
            timeout=chromium.PATIENCE * 1000,
        )
        context.set_default_timeout(chromium.PATIENCE * 1000)
        expect.set_options(timeout=chromium.PATIENCE * 1000)
        yield context
        await context.close()


async def by_ticket(page: Page, of: Site) -> None:
    """Sign in as `OPERATOR`."""
    await page.goto(f"{of.origin}/sign-in")
    await page.click("#kerberos")
    await page.wait_for_url(f"{of.origin}/")


async def by_password(page: Page, of: Site, name: str) -> None:
    """Sign in as somebody of the password file."""
    await page.goto(f"{of.origin}/sign-in")
    await page.fill("#name", name)
    await page.fill("#password", PASSWORD)
    await page.click("button.go")
    await page.wait_for_url(f"{of.origin}/")
