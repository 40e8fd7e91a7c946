from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import pytest

from lbproxy.control.admin.log_level import log_level_routes
from lbproxy.control.log.level import LogLevel
from tests.control.admin.serving import Client, serving


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    before = logging.getLogger().level
    async with serving(log_level_routes(LogLevel(lambda _: None))) as made:
        yield made
    logging.getLogger().setLevel(before)


async def test_shown_changed_and_ended(client: Client) -> None:
    assert await (await client.get("/log-level")).json() == {"level": "info", "until": None}
    changed = await (await client.post("/log-level?level=debug&seconds=600")).json()
    assert changed["level"] == "debug"
    assert changed["until"] is not None
    assert await (await client.get("/log-level")).json() == changed
    assert await (await client.delete("/log-level")).json() == {"level": "info", "until": None}


@pytest.mark.parametrize(
    ("query", "about"),
    [
        ("", "level"),
        ("level=loud", "level"),
        ("level=DEBUG", "level"),
        ("level=debug&seconds=0", "seconds"),
        ("level=debug&seconds=-1", "seconds"),
        ("level=debug&seconds=nan", "seconds"),
        ("level=debug&seconds=1e9", "seconds"),
        ("level=debug&seconds=soon", "seconds"),
    ],
)
async def test_bad_parameters(client: Client, query: str, about: str) -> None:
    answer = await client.post(f"/log-level?{query}")
    assert answer.status == 400
    assert (await answer.text()).startswith(f"{about}: ")
    assert (await (await client.get("/log-level")).json())["level"] == "info"
