"""POST /reload."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from lbproxy.control.admin.reload import reload_route
from tests.control.admin.serving import serving


@pytest.mark.parametrize(
    ("problems", "status", "text"),
    [
        ([], 200, "{}"),
        (["lb.toml: a: missing", "lb.toml: b: unknown"], 409, "lb.toml: a: missing\nlb.toml: b: unknown\n"),
    ],
)
async def test_answers_once_it_is_done(problems: Sequence[str], status: int, text: str) -> None:
    async def reload() -> Sequence[str]:
        return problems

    async with serving([reload_route(reload)]) as client, client.post("/reload") as response:
        assert (response.status, await response.text()) == (status, text)
