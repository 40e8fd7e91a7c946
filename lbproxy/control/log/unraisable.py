"""Errors in places from which nothing can be raised, as one line of the log, and not too many of them.

A client can bring one about: for a TLS server name that is not ASCII, CPython refuses the handshake and tells this
hook, whose default prints a traceback for each.
"""

from __future__ import annotations

import logging
import sys
import time

from lbproxy.control.log import event

log = logging.getLogger(__name__)

EVERY = 60.0
"""Seconds from one line to the next; those in between are counted in that one."""


class UnraisableHook:
    """What `install` puts in the place of `sys.unraisablehook`."""

    def __init__(self) -> None:
        self._next = 0.0
        self._untold = 0

    def __repr__(self) -> str:
        return f"<unraisable hook, {self._untold} untold>"

    def __call__(self, unraisable: sys.UnraisableHookArgs) -> None:
        now = time.monotonic()
        if now < self._next:
            self._untold += 1
            return
        self._next, untold, self._untold = now + EVERY, self._untold, 0
        error = unraisable.exc_value or unraisable.exc_type.__name__
        event(log, logging.WARNING, "error_ignored", error=error, where=unraisable.err_msg, others=untold or None)


def install() -> None:
    """From now on; for the process."""
    sys.unraisablehook = UnraisableHook()
