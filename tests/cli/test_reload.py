"""`lbproxy reload` against an admin interface that does as it is told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from lbproxy.control.admin.reload import reload_route
from lbproxy.control.admin.server import AdminServer
from lbproxy.control.admin.sockets import listen
from tests.cli.served import CONFIG, run


@pytest.mark.parametrize(
    ("problems", "status", "text"),
    [
        ([], 0, "reloaded\n"),
        (["a: missing", "b: unknown"], 1, "lbproxy: error: a: missing\nlbproxy: error: b: unknown\n"),
    ],
)
async def test_tells_what_became_of_it(tmp_path: Path, problems: Sequence[str], status: int, text: str) -> None:
    async def reload() -> Sequence[str]:
        return problems

    (tmp_path / "lbproxy.toml").write_text(CONFIG)
    server = AdminServer(listen(tmp_path / "admin.sock"), [reload_route(reload)])
    await server.start()
    result = await run("reload", "-c", str(tmp_path / "lbproxy.toml"))
    await server.stop()
    assert result.exit_code == status
    assert result.output.endswith(text)


async def test_nobody_is_running(tmp_path: Path) -> None:
    (tmp_path / "lbproxy.toml").write_text(CONFIG)
    result = await run("reload", "-c", str(tmp_path / "lbproxy.toml"))
    assert result.exit_code == 1
    assert "not running" in result.output
