"""Lines to a file or a pipe."""

from __future__ import annotations

import logging
import os
import select
import stat
from pathlib import Path

from lbproxy.control.log.queued_writer import LIMIT, QueuedWriter

log = logging.getLogger(__name__)

_FLAGS = os.O_APPEND | os.O_CREAT | os.O_CLOEXEC


class LineWriter(QueuedWriter):
    """Writes ASCII lines to `target`: a path, opened now for appending (mode 0640), or an open descriptor, kept open.

    Raises OSError if the file cannot be opened.
    """

    def __init__(self, target: str | int, *, name: str, limit: int = LIMIT) -> None:
        self._path = target if isinstance(target, str) else None
        self._fd = target if isinstance(target, int) else _open(target)
        self._is_pipe = _is_pipe(self._fd)
        self._torn = False  # the last byte written was not the end of a line
        super().__init__(name, limit)

    def __repr__(self) -> str:
        where = self._path or f"fd {self._fd}"
        return f"<LineWriter {where} written={self.written} dropped={self.dropped} failed={self.failed}>"

    def reopen(self) -> None:
        """Open the path again, after what was put before. A descriptor is left as it is."""
        if self._path is not None:
            self._queue.put(self._open_again)

    def _release(self) -> None:
        if self._path is not None:
            os.close(self._fd)

    def _write(self, text: str | bytes) -> None:
        lines = text if isinstance(text, bytes) else text.encode("ascii", "backslashreplace")
        # After a refusal part of a line may be on the disk; the next one must not be glued to it.
        data = (b"\n" if self._torn else b"") + lines
        sent = 0
        try:
            while sent < len(data):
                sent += os.write(self._fd, self._piece(data, sent))
        except OSError as error:
            self.error = error
        if sent:
            self.written += data.count(b"\n", self._torn, sent)
            self.failed += data.count(b"\n", sent)
            self._torn = data[sent - 1] != ord("\n")
        else:
            self.failed += lines.count(b"\n")

    def _piece(self, data: bytes, start: int) -> bytes:
        """What to write at once of `data` from `start` on.

        All of it, but for a pipe whole lines of at most PIPE_BUF bytes: of more, it may take a part, and then something
        that another process writes (pipe(7)).
        """
        if self._is_pipe:
            end = data.rfind(b"\n", start, start + select.PIPE_BUF) + 1
            return data[start : end or start + select.PIPE_BUF]
        return data[start:] if start else data

    def _open_again(self) -> None:
        assert self._path is not None
        try:
            fd = _open(self._path)
        except OSError as error:  # better the old file than none
            log.error("reopen_failed", extra={"fields": {"path": self._path, "error": error}})
            return
        os.close(self._fd)
        self._fd, self._is_pipe, self._torn = fd, _is_pipe(fd), False


def _open(path: str) -> int:
    # Opened for writing alone, a named pipe would wait for its reader; it may wait in the thread only (fifo(7)).
    mode = os.O_RDWR if Path(path).is_fifo() else os.O_WRONLY
    return os.open(path, mode | _FLAGS, 0o640)


def _is_pipe(fd: int) -> bool:
    return stat.S_ISFIFO(os.fstat(fd).st_mode)
