from __future__ import annotations

from pathlib import Path

from tests.cli.test_connections import one, run
from tests.control.admin.test_connections import OneConnection
from tests.control.live import connection

__all__ = ["one"]


async def test_one_is_ended(tmp_path: Path, one: OneConnection) -> None:
    result = await run(tmp_path, "kick", connection()["id"])
    assert result.output == "ended: 4711-57-4f8k2j1q from 10.0.0.9:51234 (CN=alice,O=Corp), after 12 requests\n"
    assert [identity for identity, _ in one.kicked] == [connection()["id"]]


async def test_one_that_has_gone_is_an_error(tmp_path: Path, one: OneConnection) -> None:
    result = await run(tmp_path, "kick", "1/2")
    assert (result.exit_code, result.stderr) == (1, "lbproxy: error: there is no connection 1/2\n")
