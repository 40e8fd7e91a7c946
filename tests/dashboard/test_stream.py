from __future__ import annotations

import asyncio
import gc
import os
import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from lbproxy.control.log.logged_event import KEPT
from lbproxy.dashboard import stream, watcher
from lbproxy.dashboard.balancer import Balancer
from tests.control.sample import backend, pool

from .browsing import Browser, browsing
from .conftest import Site

WITHIN = 20.0


@pytest.fixture
async def browser(site: Site, balancer: Balancer) -> AsyncIterator[Browser]:
    async with browsing(balancer) as browser:
        browser.sign_in("olga", "viewer")
        yield browser


async def events(answer: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, str]]:
    """What a browser makes of the stream: the kind of each event, and its data."""
    kind, data = "message", []
    async for raw in answer.content:
        line = raw.decode().rstrip("\r\n")
        if line.startswith("event: "):
            kind = line[7:]
        elif line.startswith("data: "):
            data.append(line[6:])
        elif not line and data:
            yield kind, "\n".join(data)
            kind, data = "message", []


async def until_open(browser: Browser, count: int) -> None:
    """Wait until so many streams are open."""
    async with asyncio.timeout(WITHIN):
        while len(browser.dashboard.streams) != count:  # noqa: ASYNC110  (nothing else needs to be told of it)
            await asyncio.sleep(0.01)


async def until(found: AsyncIterator[tuple[str, str]], kind: str, words: str) -> str:
    async with asyncio.timeout(WITHIN):
        async for one, data in found:
            if one == kind and words in data:
                return data
    raise AssertionError(f"the stream ended without {words}")


async def test_a_backend_that_dies_is_shown_and_said(site: Site, browser: Browser) -> None:
    async with browser.session.get(f"{browser.origin}/stream?path=pools%2Fconnectors") as answer:
        assert answer.content_type == "text/event-stream"
        found = events(answer)
        await until(found, "page", "2 of 2 in rotation")
        site.dies("c1")
        await until(found, "page", "down for ")
        assert await until(found, "said", "c1") == "c1 of connectors is down"


async def test_a_session_that_ends_ends_its_streams(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    async with browser.session.get(f"{browser.origin}/stream?path=events") as answer:
        found = events(answer)
        await until(found, "page", "Events")
        [session] = browser.dashboard.sessions._by_digest.values()
        browser.dashboard.sessions.end(session)
        assert await until(found, "over", "") == "Your session has ended."
        assert await answer.content.read() == b""


async def test_a_browser_without_a_session_is_told_so_and_does_not_try_again(browser: Browser) -> None:
    browser.session.cookie_jar.clear()
    async with browser.session.get(f"{browser.origin}/stream?path=events") as answer:
        assert answer.status == 200
        assert [one async for one in events(answer)] == [("over", "Your session has ended.")]


async def test_an_open_stream_is_no_use_of_the_session(browser: Browser) -> None:
    [session] = browser.dashboard.sessions._by_digest.values()
    session.used -= 1000.0
    before = session.used
    async with browser.session.get(f"{browser.origin}/stream?path=") as answer:
        await until(events(answer), "page", "The balancer")
    assert session.used == before


async def test_a_backend_that_leaves_ends_the_stream_of_its_page(site: Site, browser: Browser) -> None:
    async with browser.session.get(f"{browser.origin}/stream?path=pools%2Fconnectors%2Fc1") as answer:
        found = events(answer)
        await until(found, "page", "c1")
        site.view["pools"] = [pool("connectors", backend("c2"))]
        site.logs("backend_removed")
        assert await until(found, "over", "") == "What this page shows is no longer there."


async def test_there_are_not_too_many(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "MOST_OF_ONE", 2)
    one, other = [await browser.session.get(f"{browser.origin}/stream?path=") for _ in range(2)]
    assert (await browser.get("/stream?path="))[0] == 503
    assert (await browser.get("/stream?path=nope"))[0] == 404
    one.close()
    await until_open(browser, 1)
    again = await browser.session.get(f"{browser.origin}/stream?path=")
    assert again.status == 200
    again.close()
    other.close()


async def test_one_that_never_reads_is_cut_off_and_nothing_grows(
    site: Site, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages are large here, and are never taken; the others get theirs meanwhile."""
    monkeypatch.setattr(stream, "SEND_WITHIN", 0.2)
    site.view["server_url"] = "x" * 4_000_000
    cookie = "; ".join(f"{one.key}={one.value}" for one in browser.session.cookie_jar)
    with socket.create_connection(("127.0.0.1", int(browser.origin.rpartition(":")[2]))) as silent:
        silent.sendall(f"GET /stream?path= HTTP/1.1\r\nHost: 127.0.0.1:1\r\nCookie: {cookie}\r\n\r\n".encode())
        await until_open(browser, 1)
        async with browser.session.get(f"{browser.origin}/stream?path=events") as answer:
            found = events(answer)
            await until(found, "page", "Events")
            await until_open(browser, 1)  # the silent one is cut off
            site.logs("still_here")
            await until(found, "page", "still_here")


async def test_all_end_with_the_server(browser: Browser) -> None:
    answer = await browser.session.get(f"{browser.origin}/stream?path=")
    assert isinstance(browser.dashboard.app, web.Application)
    await browser.dashboard.streams.close()
    assert len(browser.dashboard.streams) == 0
    answer.close()


UPDATES = 20_000 if os.environ.get("LBPROXY_FULL") else 100
"""A day has 86,400 seconds, and a page that stays open gets an update in each at the most."""


async def test_a_page_that_stays_open_for_a_day_takes_no_more_in_the_end(
    site: Site, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock of a day is left out: a look follows the one before at once. The page is loaded again now and then."""
    for name in ("FRESH", "_PART", "_EVERY"):
        monkeypatch.setattr(watcher, name, 0)

    async def updates(found: AsyncIterator[tuple[str, str]], count: int) -> int:
        """Take so many: how many objects there are then."""
        for at in range(count):
            site.view["uptime_seconds"] = 60.0 * (1 + at % 50)  # minutes, which are shown: after a day they are not
            if at % 10 == 0:
                site.logs("something", number=at)
            async with asyncio.timeout(WITHIN):
                assert (await anext(found))[0] in ("page", "said")
            if at % 50 == 0:
                assert (await browser.get("/"))[0] == 200
        gc.collect()
        return len(gc.get_objects())

    async with browser.session.get(f"{browser.origin}/stream?path=") as answer:
        found = events(answer)
        for number in range(KEPT):  # the ring of events is full from the beginning
            site.logs("something", number=number)
        before = await updates(found, 60)  # what is made once is made then
        after = await updates(found, UPDATES)
        assert after < before + 1000
        assert len(browser.dashboard.streams) == 1
    assert len(browser.dashboard.watcher.seen.events) <= KEPT
