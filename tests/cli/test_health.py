"""`lbproxy health` against an admin interface that does as it is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.served import CONFIG, run
from tests.control.admin.test_health import admin


@pytest.mark.parametrize(
    ("state", "status", "text"), [("serving", 0, "ok\n"), ("leaving", 1, "lbproxy is leaving\n")], ids=["yes", "no"]
)
async def test_the_exit_status_and_a_line(tmp_path: Path, state: str, status: int, text: str) -> None:
    (tmp_path / "lbproxy.toml").write_text(CONFIG)
    async with admin(tmp_path / "admin.sock", state):
        result = await run("health", "-c", str(tmp_path / "lbproxy.toml"))
    assert (result.exit_code, result.output) == (status, text)


async def test_nobody_is_running(tmp_path: Path) -> None:
    result = await run("health", "--admin", f"unix:{tmp_path}/admin.sock")
    assert (result.exit_code, result.output) == (1, "lbproxy is not running\n")


async def test_a_broken_file_keeps_nobody_from_asking(tmp_path: Path) -> None:
    (tmp_path / "lbproxy.toml").write_text(f"[[[\n[admin]\nbind = 'unix:{tmp_path}/admin.sock'\n")
    async with admin(tmp_path / "admin.sock"):
        result = await run("health", "-c", str(tmp_path / "lbproxy.toml"))
    assert result.exit_code == 0


async def test_a_timeout_that_is_none() -> None:
    result = await run("health", "--timeout", "3")
    assert result.exit_code == 2
    assert "'3' is not a duration" in result.output
