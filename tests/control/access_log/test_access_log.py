from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lbproxy.control.access_log import BATCH, AccessLog
from lbproxy.errors import StartError
from tests.control.sample import made


def targets(path: Path) -> list[str]:
    return [json.loads(line)["target"] for line in path.read_text().splitlines()]


@pytest.fixture
def fifo(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A named pipe and its reading end: reading awaits what the log writes."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    end = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(end, True)
    yield path, end
    os.close(end)


async def test_writes_a_line_a_request_in_order(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    log = AccessLog(str(path))
    for number in range(3 * BATCH + 1):
        log.write(made(target=f"/{number}"))
    log.close()
    assert targets(path) == [f"/{number}" for number in range(3 * BATCH + 1)]
    assert (log.enabled, log.written, log.dropped) == (True, 3 * BATCH + 1, 0)


async def test_a_single_line_does_not_wait_for_the_next_one(fifo: tuple[Path, int]) -> None:
    log = AccessLog(str(fifo[0]))
    log.write(made(target="/alone"))
    text = await asyncio.to_thread(os.read, fifo[1], 4096)
    assert json.loads(text)["target"] == "/alone"
    log.close()


def test_off_writes_nothing_and_needs_no_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    log = AccessLog("")
    log.write(made())
    log.reopen()
    log.close()
    assert (log.enabled, log.written, log.dropped, list(tmp_path.iterdir())) == (False, 0, 0, [])


async def test_a_dash_is_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    log = AccessLog("-")
    log.write(made(target="/to-stdout"))
    log.close()
    assert json.loads(capfd.readouterr().out)["target"] == "/to-stdout"


async def test_a_file_that_cannot_be_opened_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"access_log\.path: cannot open .*: No such file or directory"):
        AccessLog(str(tmp_path / "missing" / "access.log"))


async def test_reopen_continues_in_a_new_file(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    log = AccessLog(str(path))
    log.write(made(target="/old"))
    path.rename(tmp_path / "access.log.1")
    log.reopen()
    log.write(made(target="/new"))
    log.close()
    assert targets(tmp_path / "access.log.1") == ["/old"]
    assert targets(path) == ["/new"]


async def test_a_full_disk_is_counted_and_reported(caplog: pytest.LogCaptureFixture) -> None:
    log = AccessLog("/dev/full")
    log.write(made())
    log.write(made())
    log.close()
    assert (log.written, log.dropped) == (0, 2)
    [record] = caplog.records
    assert record.message == "access_log_lost_lines"
    assert record.__dict__["fields"] == {"path": "/dev/full", "lines": 2, "error": "[Errno 28] No space left on device"}


async def test_a_reader_that_stands_still_costs_lines_but_no_time(
    fifo: tuple[Path, int], caplog: pytest.LogCaptureFixture
) -> None:
    """Two megabytes against a pipe of 64 KiB that nobody reads and a queue of 256: reported once, not once a batch."""
    log = AccessLog(str(fifo[0]), limit=256 * 1024)
    for _ in range(80 * BATCH):
        log.write(made())
    assert log.dropped >= 40 * BATCH
    assert [record.message for record in caplog.records] == ["access_log_lost_lines"]
    dropped = log.dropped
    os.set_blocking(fifo[1], False)
    await read_until_written(fifo[1], log, 80 * BATCH - dropped)
    log.close()
    assert (log.written, log.dropped) == (80 * BATCH - dropped, dropped)
    assert sum(record.__dict__["fields"]["lines"] for record in caplog.records) == dropped


async def read_until_written(end: int, log: AccessLog, lines: int) -> None:
    while log.written < lines:
        try:
            os.read(end, 65536)
        except BlockingIOError:
            await asyncio.sleep(0.001)
