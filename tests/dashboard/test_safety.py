from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from lbproxy.dashboard import safety
from lbproxy.dashboard.safety import HEADERS

Client = TestClient[web.Request, web.Application]


async def answer(request: web.Request) -> web.Response:
    return web.json_response(await safety.form(request) if request.method == "POST" else {})


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    app = web.Application(middlewares=[safety.guard(lambda host: host == "ours:1", "https")], client_max_size=1000)
    app.on_response_prepare.append(safety.carry)
    app.add_routes([web.get("/", answer), web.post("/", answer)])
    async with TestClient(TestServer(app)) as client:
        yield client


@pytest.mark.parametrize("host", ["theirs", "ours:2", "", "ours:1.", "user@ours:1"])
async def test_another_host_is_another_site(client: Client, host: str) -> None:
    found = await client.get("/", headers={"Host": host})
    assert found.status == 421
    assert found.headers["Content-Security-Policy"] == HEADERS["Content-Security-Policy"]


async def test_every_answer_has_the_headers(client: Client) -> None:
    found = await client.get("/", headers={"Host": "ours:1"})
    assert found.status == 200
    assert found.headers.items() >= HEADERS.items()
    assert "unsafe" not in HEADERS["Content-Security-Policy"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "null"},
        {"Origin": "http://ours:1"},
        {"Origin": "https://ours:1.evil.example"},
        {"Origin": "https://ours:1", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "https://ours:1", "Sec-Fetch-Site": "same-site"},
    ],
)
async def test_a_form_of_another_site_is_refused(client: Client, headers: dict[str, str]) -> None:
    found = await client.post("/", headers={"Host": "ours:1", **headers}, data={"a": "1"})
    assert found.status == 403


async def test_a_form_of_a_page_here_is_read(client: Client) -> None:
    ours = {"Host": "ours:1", "Origin": "https://ours:1", "Sec-Fetch-Site": "same-origin"}
    found = await client.post("/", headers=ours, data={"a": "1"})
    assert await found.json() == {"a": "1"}
    assert (await client.post("/", headers=ours, json={"a": "1"})).status == 415
    assert (await client.post("/", headers=ours, data={"a": "x" * 2000})).status == 413


async def test_a_form_that_does_not_come_is_not_waited_for(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safety, "BODY_WITHIN", 0.01)
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(
        b"POST / HTTP/1.1\r\nHost: ours:1\r\nOrigin: https://ours:1\r\nContent-Length: 100\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\n\r\na="
    )
    assert (await reader.readline()).startswith(b"HTTP/1.1 408 ")
    writer.close()
    await writer.wait_closed()
