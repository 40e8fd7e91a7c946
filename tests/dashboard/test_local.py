from __future__ import annotations

import asyncio
import getpass
import socket
from pathlib import Path

import aiohttp
import pytest

from lbproxy.dashboard import local
from lbproxy.dashboard.local import serve_local
from lbproxy.errors import AdminError

from .conftest import Site


async def served(site: Site, idle: float = 60.0) -> tuple[asyncio.Task[None], str]:
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    sock = socket.create_server(("127.0.0.1", 0))
    return asyncio.ensure_future(serve_local(site.path, sock, idle, ready.set_result)), await ready


async def stopped(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_the_link_works_once(site: Site) -> None:
    task, url = await served(site)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        async with browser.get(url, allow_redirects=False) as answer:
            assert answer.status == 303
            cookie = answer.headers["Set-Cookie"]
            root = answer.headers["Location"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert f"Path={root};" in cookie
        async with browser.get(url.partition("/enter/")[0] + "/") as answer:
            assert answer.status == 200
            assert f"{getpass.getuser()}, operator" in await answer.text()
    async with aiohttp.ClientSession() as other:
        for again in (url, url[:-1], url.replace("/enter/", "/enter/x")):
            async with other.get(again) as answer:
                assert (answer.status, "works once" in await answer.text()) == (403, True)
        async with other.get(url.partition("/enter/")[0] + "/") as answer:
            assert (answer.status, "Not signed in" in await answer.text()) == (403, True)
        async with other.get(url, headers={"Host": "evil.example"}) as answer:
            assert answer.status == 421
    await stopped(task)


async def test_a_wrong_link_does_not_use_it_up_and_a_late_one_is_worth_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, url = await served(site)
    async with aiohttp.ClientSession() as browser:
        async with browser.get(f"{url}x") as answer:
            assert answer.status == 403
        monkeypatch.setattr(local, "LINK_WITHIN", -1.0)
        async with browser.get(url) as answer:
            assert answer.status == 403
        monkeypatch.undo()
        async with browser.get(url, allow_redirects=False) as answer:
            assert answer.status == 303
    await stopped(task)


async def test_it_ends_when_nobody_asks(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "_LOOK_EVERY", 0.01)
    task, _ = await served(site, 0.05)
    async with asyncio.timeout(20):
        await task


async def test_a_page_that_is_open_keeps_it(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "_LOOK_EVERY", 0.01)
    task, url = await served(site, 0.2)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        async with browser.get(url) as answer:
            assert answer.status == 200
        async with browser.get(url.partition("/enter/")[0] + "/stream?path=") as answer:
            await asyncio.sleep(0.5)  # longer than it waits without one
            assert not task.done()
    async with asyncio.timeout(20):
        await task


async def test_who_may_not_ask_the_balancer_gets_no_link(tmp_path: Path) -> None:
    told: list[str] = []
    with (
        pytest.raises(AdminError, match="the balancer does not answer"),
        socket.create_server(("127.0.0.1", 0)) as sock,
    ):
        await serve_local(tmp_path / "none.sock", sock, 60.0, told.append)
    assert told == []
