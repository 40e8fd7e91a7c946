"""Lines to syslog, or to systemd's journal: a datagram each."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from lbproxy.control.log.queued_writer import LIMIT, QueuedWriter
from lbproxy.control.log.timestamp import timestamp

JOURNAL = "/run/systemd/journal/socket"
"""Where the journal takes its native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL)."""

TRY_AGAIN = 1.0
"""Seconds for which nothing is tried after a receiver could not be reached. Its name may have to be looked up."""

REPORT_EVERY = 60.0
"""Seconds between two lines about lost ones."""

STANDARD_ERROR = 2


class Receiver(NamedTuple):
    """What takes the lines: a Unix socket at `path`, or else UDP at `host` and `port`."""

    path: str = ""
    host: str = ""
    port: int = 0

    @property
    def is_journal(self) -> bool:
        """Whether it takes the journal's own protocol."""
        return self.path == JOURNAL


def receiver(to: str) -> Receiver:
    """Of "journald", "syslog:/PATH" or "syslog:udp://HOST[:PORT]", as the configuration has checked it."""
    if to == "journald":
        return Receiver(JOURNAL)
    address = to.removeprefix("syslog:")
    if address.startswith("/"):
        return Receiver(address)
    parts = urlsplit(address)
    return Receiver(host=parts.hostname or "", port=parts.port or 514)


class DatagramWriter(QueuedWriter):
    """Sends what is put as bytes as one datagram, and of text each line as the one that `frame` makes of it.

    A receiver that is away costs no caller anything: lines are lost, and counted, until it is back. One that stands
    still costs no more than the queue. Of datagrams over UDP nobody knows whether they have arrived.

    say_lost: write on standard error, at most once a minute, that lines are lost. It may wait there; callers do not.
    """

    def __init__(
        self, to: str, *, name: str, frame: Callable[[str], bytes] | None = None, say_lost: bool = False,
        limit: int = LIMIT,
    ) -> None:  # fmt: skip
        self._to = to
        self._receiver = receiver(to)
        self._frame = frame
        self._say_lost = say_lost
        self._socket: socket.socket | None = None
        self._not_before = 0.0  # when the receiver may be tried again
        self._said, self._say_next = 0, 0.0
        super().__init__(name, limit)

    def __repr__(self) -> str:
        return f"<DatagramWriter {self._to} written={self.written} dropped={self.dropped} failed={self.failed}>"

    def _write(self, text: str | bytes) -> None:
        if isinstance(text, bytes):
            self._send(text)
        else:
            assert self._frame is not None, "what is put as text needs a frame"
            for line in text.splitlines():
                self._send(self._frame(line))
        if self._say_lost and self.lost > self._said and time.monotonic() >= self._say_next:
            self._say()

    def _send(self, data: bytes) -> None:
        try:
            self._try(data)
        except OSError as error:
            self.error = error
            self.failed += 1
        else:
            self.written += 1

    def _try(self, data: bytes) -> None:
        if self._socket is not None:
            try:
                self._socket.send(data)
            except OSError:
                self._forget()
                if not self._receiver.path:
                    raise  # of an earlier datagram perhaps: a second try says nothing
            else:
                return
        if time.monotonic() < self._not_before:
            raise self.error or ConnectionError("it is away")
        try:
            self._socket = self._connect()
        except OSError:
            self._not_before = time.monotonic() + TRY_AGAIN
            raise
        self._socket.send(data)

    def _connect(self) -> socket.socket:
        """Raises OSError."""
        to = self._receiver
        if to.path:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            address: Any = to.path
        else:
            family, kind, _, _, address = socket.getaddrinfo(to.host, to.port, type=socket.SOCK_DGRAM)[0]
            sock = socket.socket(family, kind)
        try:
            sock.connect(address)
        except OSError:
            sock.close()
            raise
        return sock

    def _forget(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _say(self) -> None:
        lost, self._said = self.lost - self._said, self.lost
        self._say_next = time.monotonic() + REPORT_EVERY
        why = self.error or "it takes lines too slowly"
        line = f'{timestamp(time.time())} ERROR log_lost_lines to={self._to} lines={lost} error="{why}"\n'
        with suppress(OSError):  # then there is nowhere left to say it; the metric has it
            os.write(STANDARD_ERROR, line.encode("ascii", "backslashreplace"))

    def _release(self) -> None:
        self._forget()
