"""The program that is installed now is tried before the master becomes it: afterwards nothing could be taken back."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable

from lbproxy import files
from lbproxy.control.log import event
from lbproxy.process.ipc.reactor import Reactor
from lbproxy.process.master.generation_handle import command, spawn
from lbproxy.process.master.reexec import ReexecState, become_next, write

log = logging.getLogger(__name__)

REHEARSE_WITHIN = 30.0
"""Seconds that a program has to show that it can be run, before it counts as one that cannot."""

_WHY_LENGTH = 1000
"""Bytes of what a program says last that go to the log."""


class Upgrade:
    """`rehearsal` is the process id of the program's trial while that is under way, 0 otherwise."""

    def __init__(self, reactor: Reactor, state: Callable[[], ReexecState], when: Callable[[], bool | None]) -> None:
        """state: what the master would leave now. when: whether it can be replaced now; None: never any more."""
        self.rehearsal = 0
        self._said = 0  # the descriptor of a file with what it has written to its standard error
        self._reactor = reactor
        self._state = state
        self._when = when

    def __repr__(self) -> str:
        return f"<upgrade, rehearsal {self.rehearsal or 'none'}>"

    def begin(self) -> None:
        """See whether what is installed now can be run, and understands what this master would leave to it."""
        if self.rehearsal or self._when() is None:
            return
        try:
            self._said = files.in_memory("lbproxy-rehearsal")
            self.rehearsal = rehearsal = self._spawn(write(self._state()))
        except OSError as error:
            event(log, logging.ERROR, "upgrade_refused", problem=error)
            return

        def give_up() -> None:
            if self.rehearsal == rehearsal:
                os.kill(rehearsal, signal.SIGKILL)  # it was not reaped, so this is still the one

        self._reactor.later(REHEARSE_WITHIN, give_up)

    def _spawn(self, state: int) -> int:
        try:
            os.set_inheritable(state, True)
            return spawn(command("rehearse", str(state)), self._said)
        finally:
            os.close(state)

    def rehearsed(self, status: int) -> None:
        """The trial has ended."""
        self.rehearsal = 0
        why = _last_line(self._said)
        if status:
            problem = why or "the program installed now cannot run"
            event(log, logging.ERROR, "upgrade_refused", status=status, problem=problem)
        else:
            self._reactor.later(0, self._go)  # once all is dealt with that was told together with this

    def _go(self) -> None:
        when = self._when()
        if when is None:
            return
        if not when:
            self._reactor.later(0.1, self._go)
            return
        event(log, logging.INFO, "upgrading", program=sys.executable)
        self._exec()

    def _exec(self) -> None:
        """Once that line, which generations are told too, is taken in."""
        when = self._when()
        if when is None:
            return
        if not when:
            self._reactor.later(0.1, self._exec)
            return
        for handler in logging.getLogger().handlers:
            handler.flush()  # its thread ends with this program
        self._reactor.hold_signals()
        try:
            become_next(self._state())
        except OSError as error:
            self._reactor.release_signals()
            event(log, logging.ERROR, "upgrade_refused", problem=error)


def _last_line(descriptor: int) -> str:
    """Of the file, which is closed."""
    with open(descriptor, "rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _WHY_LENGTH))
        lines = file.read().decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
