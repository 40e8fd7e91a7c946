from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lbproxy.control.admin.log_level import log_level_routes
from lbproxy.control.admin.server import AdminServer
from lbproxy.control.admin.sockets import listen
from lbproxy.control.log.level import LogLevel
from tests.cli.test_connections import run


@pytest.fixture(autouse=True)
async def level(tmp_path: Path) -> AsyncIterator[LogLevel]:
    before = logging.getLogger().level
    found = LogLevel(lambda _: None)
    server = AdminServer(listen(tmp_path / "admin.sock"), log_level_routes(found))
    await server.start()
    yield found
    await server.stop()
    logging.getLogger().setLevel(before)


async def test_a_level_for_a_while(tmp_path: Path, level: LogLevel) -> None:
    result = await run(tmp_path, "log-level", "debug", "--for", "10m")
    assert re.fullmatch(r"log level: debug until [-\d]+T[:\d.]+Z, then info\n", result.output), result.output
    assert level.view["level"] == "debug"
    assert (await run(tmp_path, "log-level")).output == result.output
    assert (await run(tmp_path, "log-level", "info")).output == "log level: info\n"


@pytest.mark.parametrize(
    "arguments", [("loud",), ("--for", "10m"), ("debug", "--for", "soon"), ("debug", "--for", "10")]
)
async def test_bad_arguments(tmp_path: Path, arguments: tuple[str, ...], level: LogLevel) -> None:
    assert (await run(tmp_path, "log-level", *arguments)).exit_code == 2
    assert level.view["level"] == "info"


async def test_too_long_is_an_error(tmp_path: Path) -> None:
    result = await run(tmp_path, "log-level", "debug", "--for", "30d")
    assert result.exit_code == 1
    assert "a week" in result.stderr
