from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from lbproxy.control.probes.connector import open_session
from lbproxy.control.probes.kerberos.binding import KeptConnection, keeps_user
from lbproxy.control.probes.kerberos.exchange import Page, request

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[Page]:
    app = web.Application()
    app.add_routes([web.get("/{path:.*}", handler)])
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield Page(f"http://127.0.0.1:{runner.addresses[0][1]}/", "login.corp.example", {200})
    finally:
        await runner.cleanup()


async def looked_at(handler: Handler) -> bool | None:
    """What is found of a connector, after a sign-in with a token that means nothing but "let me in"."""
    async with serving(handler) as page, KeptConnection() as connection, open_session() as others:
        signed_in = await request(connection.session, page, b"let me in")
        assert signed_in.status == 200
        return await keeps_user(connection, signed_in, page, others)


def with_token(request: web.Request) -> bool:
    return "Authorization" in request.headers


async def test_a_connector_that_keeps_the_user() -> None:
    known: set[object] = set()

    async def answer(request: web.Request) -> web.Response:
        if with_token(request):
            known.add(request.transport)
        return web.Response(status=200 if request.transport in known else 401, text="hello " * 1000)

    assert await looked_at(answer) is True


async def test_a_connector_that_asks_every_time() -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=200 if with_token(request) else 401)

    assert await looked_at(answer) is False


async def test_a_page_for_everybody_tells_nothing() -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response()

    assert await looked_at(answer) is None


async def test_another_status_tells_nothing() -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=200 if with_token(request) else 503)

    assert await looked_at(answer) is None


async def test_a_connector_that_closes_the_connection_keeps_nothing_to_be_seen() -> None:
    async def answer(request: web.Request) -> web.Response:
        response = web.Response(status=200 if with_token(request) else 401)
        response.force_close()
        return response

    assert await looked_at(answer) is None


async def test_a_body_without_end_is_not_read_to_it() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if not with_token(request):
            return web.Response(status=401)
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65536)

    assert await looked_at(answer) is None


async def test_a_body_that_breaks_off() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "10"})
        await response.prepare(request)
        assert request.transport is not None
        request.transport.close()
        return response

    with pytest.raises(aiohttp.ClientError):
        await looked_at(answer)
