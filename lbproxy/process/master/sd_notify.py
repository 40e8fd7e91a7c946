"""What a service manager is told, if there is one: sd_notify(3), without its library."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Mapping

from lbproxy.control.log import event

log = logging.getLogger(__name__)


WAIT = 0.2
"""Seconds that a manager with a full queue may take to make room."""


class Notifier:
    """Sends datagrams to $NOTIFY_SOCKET; does nothing where there is none. Nothing here raises, or waits for long.

    `patience` is after how many seconds without `alive` the manager ends lbproxy; None: never.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self.patience = _patience(environment)

    def __repr__(self) -> str:
        return f"<notifier {self._address or 'of nobody'!a}>"

    def ready(self, status: str) -> None:
        """It serves, for the first time or after a reload that went well or not."""
        self._send(READY=1, STATUS=status)

    def reloading(self) -> None:
        """A reload has begun (Type=notify-reload needs the time)."""
        self._send(RELOADING=1, MONOTONIC_USEC=time.monotonic_ns() // 1000)

    def stopping(self) -> None:
        """It drains."""
        self._send(STOPPING=1, STATUS="draining")

    def status(self, text: str) -> None:
        """One line for `systemctl status`."""
        self._send(STATUS=text)

    def alive(self) -> None:
        """The event loop that serves turns (WatchdogSec=)."""
        self._send(WATCHDOG=1)

    def _send(self, **fields: object) -> None:
        if not self._address:
            return
        # A line break would begin another assignment.
        text = "".join(f"{name}={str(value).replace(chr(10), ' ')}\n" for name, value in fields.items())
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.settimeout(WAIT)  # a lost READY=1 would have lbproxy ended as one that never started
            try:
                sock.sendto(text.encode(), self._address)
            except OSError as error:
                event(log, logging.WARNING, "notify_failed", socket=self._address, error=error)


def _patience(environment: Mapping[str, str]) -> float | None:
    """Of the watchdog of this very process (sd_watchdog_enabled(3))."""
    microseconds = environment.get("WATCHDOG_USEC", "")
    if not microseconds.isdecimal() or environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return int(microseconds) / 1e6 or None
