from __future__ import annotations

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from lbproxy.control.admin.guard import guard, is_local


@pytest.mark.parametrize(
    "authority", ["127.0.0.1:9000", "127.1.2.3:9000", "localhost:9000", "LOCALHOST:9000", "[::1]:9000"]
)
def test_loopback_with_the_port_is_local(authority: str) -> None:
    assert is_local(authority, 9000)


@pytest.mark.parametrize(
    "authority",
    [
        "",
        "127.0.0.1",
        "127.0.0.1:9001",
        "rebound.example:9000",
        "localhost.example:9000",
        "127.0.0.1.example:9000",
        "10.0.0.1:9000",
        "0.0.0.0:9000",
        "[::]:9000",
        "[::1:9000",
        "127.0.0.1:9000/x",
        "x@127.0.0.1:9000",
        "127.0.0.1:9000#x",
        "127.0.0.1:x",
        ":9000",
        "null",
    ],
)
def test_everything_else_is_not(authority: str) -> None:
    assert not is_local(authority, 9000)


def test_port_80_need_not_be_written() -> None:
    assert is_local("127.0.0.1", 80)


async def ok(_: web.Request) -> web.Response:
    return web.Response(text="ok")


async def status_for(headers: dict[str, str]) -> int:
    """The status of a request with `headers` to a server that takes itself to be on port 80."""
    app = web.Application(middlewares=[guard(80)])
    app.router.add_get("/", ok)
    async with TestClient(TestServer(app)) as client, client.get("/", headers=headers) as response:
        return response.status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "localhost"}, 200),
        ({"Host": "rebound.example"}, 403),
        ({"Host": "localhost", "Origin": "http://localhost"}, 200),
        ({"Host": "localhost", "Origin": "http://127.0.0.1:80"}, 200),
        ({"Host": "localhost", "Origin": "https://evil.example"}, 403),
        ({"Host": "localhost", "Origin": "http://localhost:8080"}, 403),
        ({"Host": "localhost", "Origin": "https://localhost"}, 403),
        ({"Host": "localhost", "Origin": "null"}, 403),
    ],
)
async def test_requests(headers: dict[str, str], status: int) -> None:
    assert await status_for(headers) == status


async def test_a_path_that_does_not_exist_is_guarded_too() -> None:
    app = web.Application(middlewares=[guard(80)])
    async with TestClient(TestServer(app)) as client:
        response = await client.get("/missing", headers={"Host": "rebound.example"})
        assert response.status == 403
