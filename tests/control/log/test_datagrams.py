from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from lbproxy.control.log import datagrams
from lbproxy.control.log.datagrams import JOURNAL, DatagramWriter, Receiver, receiver


class Syslog:
    """Takes datagrams at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(60.0)
        self.socket.bind(str(path))

    def read(self) -> bytes:
        return self.socket.recv(65536)

    def stop(self) -> None:
        self.socket.close()
        self.path.unlink()


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "log"
    yield path
    path.unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        ("journald", Receiver(JOURNAL)),
        ("syslog:/dev/log", Receiver("/dev/log")),
        ("syslog:udp://logs.test:1514", Receiver(host="logs.test", port=1514)),
        ("syslog:udp://[2001:db8::1]", Receiver(host="2001:db8::1", port=514)),
    ],
)
def test_receivers(to: str, expected: Receiver) -> None:
    assert receiver(to) == expected
    assert receiver(to).is_journal == (to == "journald")


def test_each_line_is_a_datagram(at: Path) -> None:
    syslog = Syslog(at)
    writer = DatagramWriter(f"syslog:{at}", name="test", frame=lambda line: f"<{line}>".encode())
    writer.put("one\ntwo\n", lines=2)
    writer.put(b"three\nas it is")
    assert [syslog.read() for _ in range(3)] == [b"<one>", b"<two>", b"three\nas it is"]
    writer.close()
    assert (writer.written, writer.lost) == (3, 0)
    syslog.stop()


def test_over_udp() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(60.0)
        writer = DatagramWriter(f"syslog:udp://127.0.0.1:{sock.getsockname()[1]}", name="test")
        writer.put(b"x")
        assert sock.recv(100) == b"x"
        writer.close()


def test_a_receiver_that_was_restarted_loses_nothing(at: Path) -> None:
    syslog = Syslog(at)
    writer = DatagramWriter(f"syslog:{at}", name="test")
    writer.put(b"one")
    assert syslog.read() == b"one"
    syslog.stop()
    syslog = Syslog(at)
    writer.put(b"two")
    assert syslog.read() == b"two"
    writer.close()
    assert (writer.written, writer.lost) == (2, 0)
    syslog.stop()


def test_lines_lost_while_it_is_away_are_counted_and_said_once(
    at: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(datagrams, "TRY_AGAIN", 0.0)
    writer = DatagramWriter(f"syslog:{at}", name="test", say_lost=True)
    for _ in range(3):
        writer.put(b"lost")
    writer.flush()
    assert (writer.written, writer.failed, writer.lost) == (0, 3, 3)
    assert isinstance(writer.error, FileNotFoundError)
    [line] = capfd.readouterr().err.splitlines()
    assert line.endswith(f' ERROR log_lost_lines to=syslog:{at} lines=1 error="[Errno 2] No such file or directory"')
    syslog = Syslog(at)
    writer.put(b"back")
    assert syslog.read() == b"back"
    writer.close()
    syslog.stop()


def test_nothing_is_tried_for_a_while_after_it_was_away(at: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datagrams, "TRY_AGAIN", 1e6)
    writer = DatagramWriter(f"syslog:{at}", name="test")
    writer.put(b"lost")
    writer.flush()
    syslog = Syslog(at)
    writer.put(b"lost too")
    writer.close()
    assert (writer.written, writer.failed) == (0, 2)
    syslog.stop()


def test_one_that_stands_still_costs_the_queue_only(at: Path) -> None:
    syslog = Syslog(at)  # reads nothing yet: the kernel keeps some datagrams, then the thread waits
    writer = DatagramWriter(f"syslog:{at}", name="test", limit=100_000)
    lines = 0
    while not writer.dropped:
        writer.put(b"x" * 1000)
        lines += 1
    kept = lines - writer.dropped
    assert [syslog.read() for _ in range(kept)] == [b"x" * 1000] * kept
    writer.close()
    assert (writer.written, writer.lost) == (kept, 1)
    syslog.stop()
