"""The master: it holds the listening sockets, and starts, replaces and ends the generations that serve on them.

It knows no configuration: a generation says which places it needs, and gets their sockets. Signals:

    HUP         the next generation, from the file as it is now; the old one drains once the new one serves
    USR1        open the access log again
    USR2        become the program that is installed now, sockets and generations kept, and then do as for HUP
    TERM        drain and end; a second one ends at once
    INT, QUIT   end at once

Those that were sent to the generation that serves come here as its messages, and do the same.
A generation that dies is started again (`restart_backoff` says how soon). One that cannot start leaves the old one be.
Where there is no old one any more, the configuration that was served last is served again.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

from lbproxy.control.log import announce, event, redirect, set_level
from lbproxy.errors import MessageError, StartError
from lbproxy.process.ipc.channel import Received
from lbproxy.process.ipc.master_messages import (
    Alive,
    Drain,
    End,
    Export,
    Failed,
    FromGeneration,
    Lifeline,
    LogFrom,
    Needs,
    Ping,
    Ready,
    Relay,
    Relayed,
    Reload,
    Reloaded,
    ReloadFailed,
    Reopen,
    Retire,
    Signal,
    Start,
    State,
    Status,
    ToGeneration,
)
from lbproxy.process.ipc.messages import PROTOCOL, Fields
from lbproxy.process.ipc.reactor import Reactor
from lbproxy.process.ipc.restart_backoff import LOUD, WINDOW, RestartBackoff
from lbproxy.process.master.endings import Endings
from lbproxy.process.master.generation_handle import GenerationHandle, Stage
from lbproxy.process.master.held_sockets import HeldSockets
from lbproxy.process.master.listening_sockets import MAKER
from lbproxy.process.master.own_events import OwnEvents
from lbproxy.process.master.reexec import ReexecState
from lbproxy.process.master.sd_notify import Notifier
from lbproxy.process.master.upgrade import Upgrade

log = logging.getLogger(__name__)

START_WITHIN = 120.0
"""Seconds that a generation has to get ready, first probes and all."""

END_WITHIN = 5.0
"""Seconds that a generation has to end once it was told to end at once, before it is killed."""

SIGNALS = (signal.SIGCHLD, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


class Master:
    """`handles` are the generations that live; `current` serves, `coming` will. `status`: to end with."""

    def __init__(self, path: Path, reactor: Reactor, held_sockets: HeldSockets, notifier: Notifier) -> None:
        """path: the configuration file."""
        self.path = path
        self.handles: dict[int, GenerationHandle] = {}  # by process id
        self.current: GenerationHandle | None = None
        self.coming: GenerationHandle | None = None
        self.number = 0  # of the last generation
        self.status = 0
        self.own_events = OwnEvents(self)
        self._reactor = reactor
        self._held_sockets = held_sockets
        self._notifier = notifier
        self.endings = Endings(reactor, self._relay)
        self._restart_backoff = RestartBackoff()
        self._upgrade = Upgrade(reactor, self._reexec_state, self._can_exec)
        self._good = ""  # the text of the configuration that was served last
        self._bad: list[str] = []  # why the file cannot be served, while that text is tried in its place
        self._again = False  # another reload was asked for during the one under way
        self._stopping = self._terminated = False

    def __repr__(self) -> str:
        return f"<master {os.getpid()} of {list(self.handles.values())}>"

    def caught(self, number: signal.Signals) -> None:
        """A signal came."""
        match number:
            case signal.SIGCHLD:
                self._reap()
            case signal.SIGHUP:
                self.reload()
            case signal.SIGUSR1:
                self._send_all(Reopen())
            case signal.SIGUSR2:
                self._upgrade.begin()
            case signal.SIGTERM:
                self.stop(at_once=self._terminated)
                self._terminated = True
            case _:
                self.stop(at_once=True)

    def _passed_on(self, number: int) -> None:
        """A generation got a signal that is meant for this process.

        One for the whole group comes here as well: then a TERM is still the first one, and must not cut anything.
        """
        match number:
            case signal.SIGTERM:
                self.stop(at_once=False)
            case signal.SIGHUP | signal.SIGUSR1 | signal.SIGUSR2 | signal.SIGINT | signal.SIGQUIT:
                self.caught(signal.Signals(number))

    # --- generations come

    def launch(self) -> None:
        """Start the next generation."""
        if self._stopping or self.coming is not None:
            return
        self.number += 1
        self.endings.launched()
        try:
            handle = GenerationHandle.start(self.number, self.path, self._good if self._bad else "")
        except OSError as error:  # no process to be had, or the program is just being replaced
            self._failed([f"cannot run {sys.executable}: {error.strerror}"])
        else:
            self.adopt(handle)

    def adopt(self, handle: GenerationHandle) -> None:
        """Take charge of a generation that runs."""
        self.handles[handle.pid] = handle
        if handle.stage is Stage.STARTING:
            self.coming = handle
            self._reactor.later(START_WITHIN, lambda: self._too_late(handle))
        elif handle.stage is Stage.SERVING:
            self.current, self._good = handle, handle.text
        handle.channel.unreadable = lambda error: self._unreadable(handle, error)
        self._reactor.watch(handle.channel, lambda received: self._told(handle, received), lambda: None)

    def reload(self) -> None:
        """Replace the generation that serves, as soon as that is possible."""
        if self._stopping:
            return
        if self.coming is not None:
            self._again = True
            return
        self._bad = []
        event(log, logging.INFO, "reloading", file=self.path)
        self._notifier.reloading()
        self.launch()

    def stop(self, at_once: bool) -> None:
        """Drain and end, or end. New clients are refused from now on."""
        if not self._stopping:
            self._notifier.stopping()
        self._stopping = True
        if self.current is not None:
            self._answer(self.current, ["lbproxy is stopping"])
        self._send_all(End() if at_once else Drain())
        self._held_sockets.close()
        if at_once:
            self._reactor.later(END_WITHIN, self._kill_all)
        self._end_if_alone()

    def keep_alive(self) -> None:
        """Tell the service manager's watchdog, from now on, as long as the generation that serves answers.

        While there is none, this process vouches for itself: it is about to start one.
        """
        patience = self._notifier.patience
        if patience is None:
            return
        if self.current is None:
            self._notifier.alive()
        else:
            self.current.send(Ping())
        self._reactor.later(patience / 2, self.keep_alive)

    # --- what generations tell

    def _told(self, handle: GenerationHandle, received: Received[FromGeneration]) -> None:
        match received.message:
            case Needs() as needs:
                self._needed(handle, needs)
            case State(state):
                self._provide(state)
            case Failed(problems):
                handle.problems = problems
            case Ready():
                self._serves(handle)
            case Lifeline():
                handle.keep(received.descriptors)
            case Reload(ticket):
                self._asked_to_reload(handle, ticket)
            case Relay(message):
                self._relay(handle.number, message)
            case Signal(number):
                self._passed_on(number)
            case Alive() if handle is self.current:
                self._notifier.alive()
            case LogFrom(level):
                set_level(level)
            case Status(text):
                handle.status_line = text
                if handle is self.current:
                    self._notifier.status(handle.status_line)

    def _unreadable(self, handle: GenerationHandle, error: MessageError) -> None:
        """What `handle` said cannot be read. If that is what the coming generation needs to start, it fails at once."""
        coming = self.coming
        if coming is not None and not coming.provided and handle in (coming, self.current):
            coming.problems = [f"generation {handle.number} cannot be understood: {error}"]
            coming.send(End())

    def _needed(self, handle: GenerationHandle, needs: Needs) -> None:
        """A generation has read its configuration: what the old one knows is asked for, and then all is provided."""
        if handle.wanted or self._stopping:
            return  # asked before it has met a client, and never again: this process may have root's rights
        handle.channel.protocol = needs.protocol
        try:
            self._held_sockets.provide(needs.places, needs.owner, needs.freebind)
        except StartError as error:
            handle.problems = [str(error)]
            handle.send(End())
            return
        handle.wanted, handle.text, handle.log_to = needs.places, needs.text, needs.log_to
        if self.current is None:
            self._provide(None)
        else:
            self.current.send(Export())
            self.own_events.exported()

    def _provide(self, state: Fields | None) -> None:
        """Let the coming one begin, if that is what it waits for: `state` may be an answer to one before it."""
        handle = self.coming
        if handle is None or not handle.wanted or handle.provided or self._stopping:
            return
        handle.provided = True
        sockets = self._held_sockets.provide(handle.wanted, MAKER)
        handle.send(Start(state, PROTOCOL), [sock.fileno() for sock in sockets])
        self.own_events.catch_up(handle)
        for ending in self.endings.news():
            handle.send(Relayed(*ending))

    def _serves(self, handle: GenerationHandle) -> None:
        """A generation accepts: the one before it need not any more."""
        previous, self.current, self.coming = self.current, handle, None
        redirect(handle.log_to)
        handle.stage, self._good = Stage.SERVING, handle.text
        self._held_sockets.keep(handle.wanted)
        event(log, logging.INFO, "generation_serves", generation=handle.number, pid=handle.pid)
        self._notifier.ready(handle.status_line)
        if previous is not None:
            self._answer(previous, [])
            previous.stage = Stage.DRAINING
            previous.send(Retire())
        if self._bad:
            event(log, logging.ERROR, "last_good_served", file=self.path, problem=self._bad[0])
            handle.send(ReloadFailed(self._bad, time.time()))
            self._bad = []
        self._settled()

    def _asked_to_reload(self, handle: GenerationHandle, ticket: int) -> None:
        if self.coming is not None or handle is not self.current or self._stopping:
            handle.send(Reloaded(ticket, ["lbproxy is starting, reloading or stopping already"]))
            return
        handle.ticket = ticket
        self.reload()

    def _answer(self, handle: GenerationHandle, problems: list[str]) -> None:
        if handle.ticket is not None:
            handle.send(Reloaded(handle.ticket, problems))
            handle.ticket = None

    def _relay(self, number: int, message: Fields) -> None:
        """From an old generation to the one that serves, and from all to the next, which goes on where they were."""
        for other in self.handles.values():
            if other.number != number and (other in (self.current, self.coming) or other.obeys(message)):
                other.send(Relayed(number, message))

    # --- generations go

    def _reap(self) -> None:
        """Reap every child process that ended; as process 1, also of those that others left behind."""
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                pid, status = ended[0], os.waitstatus_to_exitcode(ended[1])
                if pid == self._upgrade.rehearsal:
                    self._upgrade.rehearsed(status)
                elif pid in self.handles:
                    self._ended(self.handles.pop(pid), status)

    def _ended(self, handle: GenerationHandle, status: int) -> None:
        with suppress(EOFError):
            for received in handle.channel.receive():  # its last words
                self._told(handle, received)
        self._reactor.unwatch(handle.channel)
        if handle is self.coming:
            self.coming = None
            self._failed(handle.problems or [f"the new generation ended with status {status}"], handle.pid, status)
            self.endings.ended(handle.number, handle.lifeline, status)
        elif handle is self.current:
            self.current = None
            self.endings.ended(handle.number, handle.lifeline, status)
            if not self._stopping:
                self._died(handle.number, handle.pid, status)
                self._provide(None)  # what it knew is lost
        else:
            self.endings.ended(handle.number, handle.lifeline, status)
            event(log, logging.INFO, "generation_ended", generation=handle.number, status=status)
        self._end_if_alone()

    def _failed(self, problems: list[str], pid: int | None = None, status: int | None = None) -> None:
        """The last generation ended before it served, or could not even be started."""
        if self._stopping:
            return
        if self.current is not None:
            for problem in problems:
                event(log, logging.ERROR, "reload_failed", generation=self.number, problem=problem)
            self._held_sockets.keep(self.current.wanted)
            self._answer(self.current, problems)
            self.current.send(ReloadFailed(problems, time.time()))
            self._notifier.ready(self.current.status_line)
            self._settled()
        elif self.number == 1:
            for problem in problems:
                announce(f"lbproxy: error: {problem}")
            self.status = 1
            self.stop(at_once=True)
        else:
            self._bad = problems if self._good and not self._bad else []  # what served last and the file, by turns
            self._died(self.number, pid, status, problems[0])

    def _died(self, number: int, pid: int | None, status: int | None, problem: str | None = None) -> None:
        """No generation serves: start the next one."""
        count, delay = self._restart_backoff.happened(time.monotonic())
        fields = {"generation": number, "pid": pid, "status": status, "problem": problem}
        event(log, logging.ERROR, "generation_died", **fields, again_in=delay)
        if count >= LOUD:
            event(log, logging.CRITICAL, "generations_keep_dying", deaths=count, within=WINDOW)
            self._notifier.status(f"generations keep dying: {count} in {WINDOW:.0f} s")
        self._reactor.later(delay, self._revive)

    def _revive(self) -> None:
        if self.current is None:  # a reload may have come first
            self.launch()

    def _too_late(self, handle: GenerationHandle) -> None:
        if handle.stage is Stage.STARTING and self.handles.get(handle.pid) is handle:
            handle.problems.append(f"the new generation was not ready after {START_WITHIN:.0f} s")
            handle.kill()

    def _settled(self) -> None:
        """No generation is coming any more: do what had to wait for that."""
        if self._again:
            self._again = False
            self.reload()

    def _send_all(self, message: ToGeneration) -> None:
        for handle in self.handles.values():
            handle.send(message)

    def _kill_all(self) -> None:
        for handle in self.handles.values():
            handle.kill()

    def _end_if_alone(self) -> None:
        if self._stopping and not self.handles:
            self._held_sockets.remove_files()
            self._reactor.later(0, self._reactor.stop)  # which may not run yet

    # --- the next program

    def _can_exec(self) -> bool | None:
        """Whether this process can be replaced now; None: never any more."""
        if self._stopping:
            return None
        return self.coming is None and not any(handle.channel.has_queue for handle in self.handles.values())

    def _reexec_state(self) -> ReexecState:
        return ReexecState(self.path, self.number, [*self.handles.values()], self._held_sockets, self.endings.orphans)
