from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

import pytest

from lbproxy.control.log import set_level
from lbproxy.control.log.level import LogLevel


@pytest.fixture(autouse=True)
def root() -> Iterator[logging.Logger]:
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.INFO)
    yield root
    root.setLevel(before)


async def test_it_ends_by_itself(root: logging.Logger) -> None:
    told = asyncio.Queue[str]()
    level = LogLevel(told.put_nowait)
    level.set("debug", 0.01, "ops")
    assert (root.level, level.view["level"], await told.get()) == (logging.DEBUG, "debug", "debug")
    assert level.view["until"] is not None
    assert await told.get() == "info"
    assert (root.level, level.view) == (logging.INFO, {"level": "info", "until": None})


async def test_the_last_order_counts(root: logging.Logger) -> None:
    told: list[str] = []
    level = LogLevel(told.append)
    level.set("debug", 60.0, "ops")
    level.set("error", None, "ops")
    assert (root.level, level.view) == (logging.ERROR, {"level": "error", "until": None})
    level.end()
    level.end()
    assert told == ["debug", "error", "info"]


async def test_the_change_itself_is_logged(root: logging.Logger, caplog: pytest.LogCaptureFixture) -> None:
    """Also if nothing more is: before it counts."""
    level = LogLevel(lambda _: None)
    level.set("error", 5.0, "ops")
    level.set("info", None, "ops")
    fields = [record.__dict__["fields"] for record in caplog.records]
    assert fields[0] == {"level": "error", "before": "info", "seconds": 5.0, "by": "ops"}
    assert fields[1] == {"level": "info", "before": "error", "seconds": None, "by": "ops"}


def test_a_level_of_a_later_version_changes_nothing(root: logging.Logger) -> None:
    set_level("whisper")
    assert root.level == logging.INFO
