from __future__ import annotations

import os
import resource
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lbproxy.control.log.line_writer import LineWriter


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """The ends of a pipe: what is written to the second can be read from the first."""
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def fill(descriptor: int) -> int:
    """Write until a pipe takes no more; returns how many bytes it took."""
    os.set_blocking(descriptor, False)
    taken = 0
    try:
        while True:
            taken += os.write(descriptor, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(descriptor, True)
    return taken


def read_exactly(descriptor: int, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += os.read(descriptor, size - len(data))
    return data


def wait_for(condition: Callable[[], bool]) -> None:
    """Until the writer's thread, which tells nobody how far it is, has come so far."""
    give_up = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.001)


def test_appends_in_order_and_counts(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("before\n")
    writer = LineWriter(str(path), name="test")
    writer.put("one\n")
    writer.put("two\nthree\n", lines=2)
    writer.close()
    assert path.read_text() == "before\none\ntwo\nthree\n"
    assert (writer.written, writer.dropped, writer.failed) == (3, 0, 0)


def test_a_new_file_is_not_for_everybody(tmp_path: Path) -> None:
    LineWriter(str(tmp_path / "log"), name="test").close()
    assert (tmp_path / "log").stat().st_mode & 0o137 == 0


def test_a_file_that_cannot_be_opened_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        LineWriter(str(tmp_path / "missing" / "log"), name="test")


def test_a_descriptor_stays_open(pipe: tuple[int, int]) -> None:
    writer = LineWriter(pipe[1], name="test")
    writer.put("line\n")
    writer.close()
    os.write(pipe[1], b"after\n")
    assert read_exactly(pipe[0], 11) == b"line\nafter\n"


def test_its_thread_takes_no_signal_that_others_have_blocked(tmp_path: Path) -> None:
    before = {thread.native_id for thread in threading.enumerate()}
    writer = LineWriter(str(tmp_path / "log"), name="log")
    [thread] = {thread.native_id for thread in threading.enumerate()} - before
    status = Path(f"/proc/self/task/{thread}/status").read_text()  # proc(5)
    blocked = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigBlk:"))
    assert all(
        blocked >> (number - 1) & 1 for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGUSR2, signal.SIGCHLD)
    )
    writer.close()


def test_what_is_not_ascii_cannot_stop_the_thread(tmp_path: Path) -> None:
    writer = LineWriter(str(tmp_path / "log"), name="test")
    writer.put("caf\xe9 \ud800\n")
    writer.close()
    assert (tmp_path / "log").read_bytes() == b"caf\\xe9 \\ud800\n"


def test_a_pipe_that_nobody_reads_blocks_nobody_and_drops_what_is_over_the_limit(pipe: tuple[int, int]) -> None:
    filler = fill(pipe[1])
    writer = LineWriter(pipe[1], name="test", limit=100)
    for _ in range(25):
        writer.put("123456789\n")
    assert writer.dropped == 15
    read_exactly(pipe[0], filler)
    assert read_exactly(pipe[0], 100) == b"123456789\n" * 10
    writer.close()
    assert (writer.written, writer.dropped) == (10, 15)


def test_close_does_not_wait_for_a_pipe_that_nobody_reads(pipe: tuple[int, int]) -> None:
    filler = fill(pipe[1])
    writer = LineWriter(pipe[1], name="test")
    writer.put("line\n")
    writer.close(timeout=0)
    assert writer.written == 0
    read_exactly(pipe[0], filler)
    writer.close()
    assert writer.written == 1


def test_a_full_disk_is_counted_and_tears_no_later_line(tmp_path: Path) -> None:
    """A limit on the file's size stands in for the disk: the kernel writes what fits and then refuses."""
    path = tmp_path / "log"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    writer = LineWriter(str(path), name="test")
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (15, hard))
        writer.put("123456789\n123456789\n", lines=2)
        writer.put("lost\n")
        wait_for(lambda: writer.failed == 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    writer.put("whole\n")
    writer.close()
    assert path.read_text() == "123456789\n12345\nwhole\n"
    assert (writer.written, writer.dropped, writer.failed) == (2, 0, 2)
    assert isinstance(writer.error, OSError)


def test_reopen_continues_in_a_new_file_under_the_name(tmp_path: Path) -> None:
    path = tmp_path / "log"
    writer = LineWriter(str(path), name="test")
    writer.put("old\n")
    path.rename(tmp_path / "log.1")
    writer.put("still old\n")
    writer.reopen()
    writer.put("new\n")
    writer.close()
    assert (tmp_path / "log.1").read_text() == "old\nstill old\n"
    assert path.read_text() == "new\n"


def test_reopen_keeps_the_old_file_if_there_can_be_no_new_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    writer = LineWriter(str(folder / "log"), name="test")
    folder.rename(tmp_path / "moved")
    writer.reopen()
    writer.put("line\n")
    writer.close()
    assert (tmp_path / "moved" / "log").read_text() == "line\n"
    assert [record.message for record in caplog.records] == ["reopen_failed"]


def test_reopen_of_a_descriptor_does_nothing(pipe: tuple[int, int]) -> None:
    writer = LineWriter(pipe[1], name="test")
    writer.reopen()
    writer.put("line\n")
    writer.close()
    assert os.read(pipe[0], 100) == b"line\n"


def test_a_named_pipe_that_nobody_reads_is_waited_for_in_the_thread_only(tmp_path: Path) -> None:
    path = tmp_path / "log"
    os.mkfifo(path)
    writer = LineWriter(str(path), name="test")
    writer.put("one\n")
    reader = os.open(path, os.O_RDONLY)
    assert read_exactly(reader, 4) == b"one\n"
    writer.close()
    os.close(reader)


def test_lines_of_two_writers_to_one_pipe_stay_whole() -> None:
    """As workers write, and generations in a reload; a full pipe takes what is larger than PIPE_BUF in parts."""
    reader, writer = os.pipe()
    writers = [LineWriter(writer, name=name) for name in "ab"]
    for each, letter in zip(writers, "ab", strict=True):
        for _ in range(20):
            each.put((letter * 99 + "\n") * 300, 300)
        each.put("end\n")
    received = b""
    while received.count(b"end\n") < 2:
        received += os.read(reader, 65536)
    assert set(received.splitlines()) == {b"a" * 99, b"b" * 99, b"end"}
    for each in writers:
        each.close()
    os.close(reader)
    os.close(writer)
