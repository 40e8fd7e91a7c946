from __future__ import annotations

import threading

from lbproxy.control.log.queued_writer import QueuedWriter


class Held(QueuedWriter):
    """Takes nothing before it is let go."""

    def __init__(self, limit: int) -> None:
        self.go = threading.Event()
        self.taken: list[str | bytes] = []
        self.released = False
        super().__init__("test", limit)

    def _write(self, text: str | bytes) -> None:
        self.go.wait()
        self.taken.append(text)
        self.written += 1

    def _release(self) -> None:
        self.released = True


def test_what_does_not_fit_is_dropped_and_counted_and_nobody_waits() -> None:
    writer = Held(limit=10)
    for text in ("12345", "67890", "more", b"and more"):
        writer.put(text, lines=2)
    assert (writer.written, writer.dropped, writer.lost) == (0, 4, 4)
    writer.flush(timeout=0.0)
    writer.go.set()
    writer.flush()
    assert writer.taken == ["12345", "67890"]
    writer.put(b"more")
    writer.close()
    assert writer.taken[2:] == [b"more"]
    assert writer.released


def test_the_end_does_not_wait_for_what_takes_nothing() -> None:
    writer = Held(limit=10)
    writer.put("12345")
    writer.close(timeout=0.0)
    assert not writer.released
    writer.go.set()
    writer.close()
    assert writer.taken == ["12345"]


def test_a_flush_after_the_end_returns() -> None:
    writer = Held(limit=10)
    writer.close()
    writer.flush(timeout=60.0)
    assert writer.released
