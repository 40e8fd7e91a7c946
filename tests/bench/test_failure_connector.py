import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bench.failure import connector, traffic
from bench.failure.connector import CUTS, Connection, Connector, answer, cut, length
from bench.failure.traffic import OK, Users


def test_an_answer_is_cut_at_ten_different_points_and_never_whole() -> None:
    whole = answer(b"7")
    pieces = [cut(whole, point) for point in range(CUTS)]
    assert len({len(piece) for piece in pieces}) == CUTS
    assert pieces[0] == b""
    assert all(whole.startswith(piece) and len(piece) < len(whole) for piece in pieces)
    assert sum(b"\r\n\r\n" in piece for piece in pieces) == 6


@pytest.mark.parametrize(
    ("head", "size"), [(b"get / http/1.1\r\nhost: a", 0), (b"post / http/1.1\r\ncontent-length: 17", 17)]
)
def test_reads_the_length(head: bytes, size: int) -> None:
    assert length(head) == size


@contextlib.asynccontextmanager
async def serving(journal: Path, work: float = 0.001) -> AsyncIterator[tuple[Connector, Users]]:
    """A connector in this process, and users who ask it directly."""
    descriptor = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    served = Connector(descriptor)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(served, work), "127.0.0.1", 0)
    users = Users(server.sockets[0].getsockname()[1])
    try:
        yield served, users
    finally:
        users.close()
        server.close()
        os.close(descriptor)


async def test_what_is_run_is_in_the_journal(tmp_path: Path) -> None:
    async with serving(tmp_path / "journal") as (_, users):
        for number in (3, 4, 4):
            await users.ask(number, 0.0)
    assert [record.end for record in users.records] == [OK] * 3
    assert [record.method for record in users.records] == ["GET", "POST", "POST"]
    assert (tmp_path / "journal").read_text() == "3\n4\n4\n"


async def test_a_user_sees_every_cut(tmp_path: Path) -> None:
    async with serving(tmp_path / "journal") as (served, users):
        served.change("cut")
        for number in range(CUTS):
            await users.ask(number, 0.0)
    kinds = [record.end for record in users.records]
    assert kinds == ["closed", *["cut in the head"] * 3, *["cut in the body"] * 6]
    assert len((tmp_path / "journal").read_text().split()) == CUTS


async def test_a_reset_connector_runs_nothing_and_recovers(tmp_path: Path) -> None:
    async with serving(tmp_path / "journal") as (served, users):
        await users.ask(1, 0.0)
        served.change("reset")
        await users.ask(2, 0.0)
        served.change("well")
        await users.ask(3, 0.0)
    assert [record.end for record in users.records] == [OK, "reset", OK]
    assert (tmp_path / "journal").read_text() == "1\n3\n"


async def test_a_user_has_patience_only_so_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traffic, "PATIENCE", 0.01)
    async with serving(tmp_path / "journal", work=5.0) as (_, users):
        await users.ask(1, 0.0)
    assert [record.end for record in users.records] == ["no answer"]


async def test_an_answer_to_another_request_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connector, "answer", lambda identity: answer(b"8"))
    async with serving(tmp_path / "journal") as (_, users):
        await users.ask(7, 0.0)
    assert [record.end for record in users.records] == ["wrong body"]
