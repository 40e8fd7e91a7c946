"""POST /reload."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from aiohttp import web
from pytest_aiohttp.plugin import AiohttpClient

from lbproxy.control.admin.reload import reload_route


@pytest.mark.parametrize(
    ("problems", "status", "text"),
    [
        ([], 200, "{}"),
        (["lb.toml: a: missing", "lb.toml: b: unknown"], 409, "lb.toml: a: missing\nlb.toml: b: unknown\n"),
    ],
)
async def test_answers_once_it_is_done(
    aiohttp_client: AiohttpClient, problems: Sequence[str], status: int, text: str
) -> None:
    async def reload() -> Sequence[str]:
        return problems

    app = web.Application()
    app.add_routes([reload_route(reload)])
    client = await aiohttp_client(app)
    async with client.post("/reload") as response:
        assert (response.status, await response.text()) == (status, text)
