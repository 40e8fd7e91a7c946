"""The master: it holds the listening sockets, and starts, replaces and ends the generations that serve on them.

It knows no configuration: a generation says which places it needs, and gets their sockets. Signals:

    HUP         the next generation, from the file as it is now; the old one drains once the new one serves
    USR1        open the access log again
    USR2        become the program that is installed now, sockets and generations kept, and then do as for HUP
    TERM        drain and end; a second one ends at once
    INT, QUIT   end at once

A generation that dies is started again (`setbacks` says how soon), and one that cannot start leaves the old one be.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

from lbproxy.control.log import event
from lbproxy.errors import StartError
from lbproxy.process.channel import Message, Received
from lbproxy.process.child import Child, Stage, command, spawn
from lbproxy.process.holdings import Holdings
from lbproxy.process.notify import Notifier
from lbproxy.process.reactor import Reactor
from lbproxy.process.setbacks import LOUD, WINDOW, Setbacks
from lbproxy.process.sockets import MAKER, Owner, Place, Wanted
from lbproxy.process.upgrade import Estate, become_next

log = logging.getLogger(__name__)

START_WITHIN = 120.0
"""Seconds that a generation has to get ready, first probes and all."""

REHEARSE_WITHIN = 30.0
"""Seconds that a program has to show that it can be run, before it counts as one that cannot."""

END_WITHIN = 5.0
"""Seconds that a generation has to end once it was told to end at once, before it is killed."""

GONE = {"type": "gone"}
"""What the others are told in the name of a generation that has ended."""

SIGNALS = (
    signal.SIGCHLD,
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
)


class Master:
    """`children` are the generations that live; `current` serves, `coming` will. `status`: to end with."""

    def __init__(self, path: Path, reactor: Reactor, holdings: Holdings, notifier: Notifier) -> None:
        """path: the configuration file."""
        self.path = path
        self.children: dict[int, Child] = {}  # by process id
        self.current: Child | None = None
        self.coming: Child | None = None
        self.number = 0  # of the last generation
        self.status = 0
        self._reactor = reactor
        self._holdings = holdings
        self._notifier = notifier
        self._setbacks = Setbacks()
        self._rehearsal = 0  # the process id of the next program's, while it is under way
        self._again = False  # somebody wants another reload than the one under way
        self._gone: list[int] = []  # the numbers of generations that have ended since the last one was launched
        self._stopping = False
        self._remark = ""  # behind what the generation says of itself

    def __repr__(self) -> str:
        return f"<master {os.getpid()} of {list(self.children.values())}>"

    def caught(self, number: signal.Signals) -> None:
        """A signal came."""
        match number:
            case signal.SIGCHLD:
                self._reap()
            case signal.SIGHUP:
                self.reload()
            case signal.SIGUSR1:
                self._tell_all("reopen")
            case signal.SIGUSR2:
                self._rehearse()
            case signal.SIGTERM:
                self.stop(at_once=self._stopping)
            case _:
                self.stop(at_once=True)

    # --- generations come

    def launch(self) -> None:
        """Start the next generation."""
        if self._stopping or self.coming is not None:
            return
        self.number += 1
        self._gone.clear()
        try:
            child = Child.start(self.number, self.path)
        except OSError as error:  # no process to be had, or the program is just being replaced
            self._failed([f"cannot run {sys.executable}: {error.strerror}"])
        else:
            self.adopt(child)

    def adopt(self, child: Child) -> None:
        """Take charge of a generation that runs."""
        self.children[child.pid] = child
        if child.stage is Stage.STARTING:
            self.coming = child
            self._reactor.later(START_WITHIN, lambda: self._too_late(child))
        elif child.stage is Stage.SERVING:
            self.current = child
        self._reactor.watch(child.channel, lambda received: self._told(child, received), lambda: None)

    def reload(self) -> None:
        """Replace the generation that serves, as soon as that is possible."""
        if self._stopping:
            return
        if self.coming is not None:
            self._again = True
            return
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
        self._tell_all("end" if at_once else "drain")
        self._holdings.close()
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
            self.current.tell("ping")
        self._reactor.later(patience / 2, self.keep_alive)

    # --- what generations tell

    def _told(self, child: Child, received: Received) -> None:
        message = received.message
        match message["type"]:
            case "needs":
                self._needed(child, message)
            case "state":
                self._provide(message["state"])
            case "failed":
                child.problems = message["problems"]
            case "ready":
                self._serves(child)
            case "reload":
                self._asked_to_reload(child, message["ticket"])
            case "relay":
                self._relay(child, message["message"])
            case "alive" if child is self.current:
                self._notifier.alive()
            case "status":
                child.headline = message["text"]
                if child is self.current:
                    self._notifier.status(child.headline + self._remark)

    def _needed(self, child: Child, message: Message) -> None:
        """A generation has read its configuration: what the old one knows is asked for, and then all is provided."""
        if child.wanted or self._stopping:
            return  # asked before it has met a client, and never again: this process may have root's rights
        wanted = [Wanted(key, Place(*place), admin) for key, place, admin in message["places"]]
        try:
            self._holdings.provide(wanted, Owner(*message["owner"]))
        except StartError as error:
            child.problems = [str(error)]
            child.tell("end")
            return
        child.wanted = wanted
        if self.current is None:
            self._provide(None)
        else:
            self.current.tell("export")

    def _provide(self, state: object) -> None:
        """Let the coming one begin, if that is what it waits for: `state` may be an answer to one before it."""
        child = self.coming
        if child is None or not child.wanted or child.provided or self._stopping:
            return
        child.provided = True
        sockets = self._holdings.provide(child.wanted, MAKER)
        child.tell("start", [sock.fileno() for sock in sockets], state=state)
        for number in self._gone:  # who was asked for `state` may have heard of it later
            child.tell("relayed", generation=number, message=GONE)

    def _serves(self, child: Child) -> None:
        """A generation accepts: the one before it need not any more."""
        previous, self.current, self.coming = self.current, child, None
        child.stage = Stage.SERVING
        self._holdings.keep(child.wanted)
        event(log, logging.INFO, "generation_serves", generation=child.number, pid=child.pid)
        self._remark = ""
        self._notifier.ready(child.headline)
        if previous is not None:
            self._answer(previous, [])
            previous.stage = Stage.DRAINING
            previous.tell("retire")
        self._settled()

    def _asked_to_reload(self, child: Child, ticket: int) -> None:
        if self.coming is not None or child is not self.current or self._stopping:
            child.tell("reloaded", ticket=ticket, problems=["lbproxy is starting, reloading or stopping already"])
            return
        child.ticket = ticket
        self.reload()

    def _answer(self, child: Child, problems: list[str]) -> None:
        if child.ticket is not None:
            child.tell("reloaded", ticket=child.ticket, problems=problems)
            child.ticket = None

    def _relay(self, child: Child, message: Message) -> None:
        """From an old generation to the one that serves, and from all to the next, which goes on where they were."""
        for other in (self.current, self.coming):
            if other is not None and other is not child:
                other.tell("relayed", generation=child.number, message=message)

    # --- generations go

    def _reap(self) -> None:
        """Take leave of every child that ended; as process 1, also of those that others left behind."""
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                pid, status = ended[0], os.waitstatus_to_exitcode(ended[1])
                if pid == self._rehearsal:
                    self._rehearsed(status)
                elif pid in self.children:
                    self._ended(self.children.pop(pid), status)

    def _ended(self, child: Child, status: int) -> None:
        with suppress(EOFError):
            for received in child.channel.receive():  # its last words
                self._told(child, received)
        self._reactor.unwatch(child.channel)
        if child is self.coming:
            self.coming = None
            self._failed(child.problems or [f"the new generation ended with status {status}"], child.pid, status)
            self._relay(child, GONE)
        elif child is self.current:
            self.current = None
            self._tell_end(child)
            if not self._stopping:
                self._died(child.number, child.pid, status)
                self._provide(None)  # nobody is left to tell what it knew
        else:
            self._tell_end(child)
            event(log, logging.INFO, "generation_ended", generation=child.number, status=status)
        self._end_if_alone()

    def _tell_end(self, child: Child) -> None:
        """What it had open is open no more."""
        self._relay(child, GONE)
        self._gone.append(child.number)

    def _failed(self, problems: list[str], pid: int | None = None, status: int | None = None) -> None:
        """The last generation ended before it served, or could not even be started."""
        if self._stopping:
            return
        if self.current is not None:
            for problem in problems:
                event(log, logging.ERROR, "reload_failed", generation=self.number, problem=problem)
            self._holdings.keep(self.current.wanted)
            self._answer(self.current, problems)
            self._remark = f"; the last reload failed: {problems[0]}"
            self._notifier.ready(self.current.headline + self._remark)
            self._settled()
        elif self.number == 1:
            for problem in problems:
                print(f"lbproxy: error: {problem}", file=sys.stderr, flush=True)
            self.status = 1
            self.stop(at_once=True)
        else:
            self._died(self.number, pid, status, problems[0])

    def _died(self, number: int, pid: int | None, status: int | None, problem: str | None = None) -> None:
        """Nobody serves: start the next generation."""
        count, delay = self._setbacks.happened(time.monotonic())
        fields = {"generation": number, "pid": pid, "status": status, "problem": problem}
        event(log, logging.ERROR, "generation_died", **fields, again_in=delay)
        if count >= LOUD:
            event(log, logging.CRITICAL, "generations_keep_dying", deaths=count, within=WINDOW)
            self._notifier.status(f"generations keep dying: {count} in {WINDOW:.0f} s")
        self._reactor.later(delay, self._revive)

    def _revive(self) -> None:
        if self.current is None:  # a reload may have come first
            self.launch()

    def _too_late(self, child: Child) -> None:
        if child.stage is Stage.STARTING and self.children.get(child.pid) is child:
            child.problems.append(f"the new generation was not ready after {START_WITHIN:.0f} s")
            child.kill()

    def _settled(self) -> None:
        """No generation is coming any more: do what had to wait for that."""
        if self._again:
            self._again = False
            self.reload()

    def _tell_all(self, kind: str) -> None:
        for child in self.children.values():
            child.tell(kind)

    def _kill_all(self) -> None:
        for child in self.children.values():
            child.kill()

    def _end_if_alone(self) -> None:
        if self._stopping and not self.children:
            self._holdings.remove_files()
            self._reactor.later(0, self._reactor.stop)  # which may not run yet

    # --- the next program

    def _rehearse(self) -> None:
        """See whether what is installed now can be run at all, before it is the only thing that could."""
        if self._rehearsal or self._stopping:
            return
        try:
            self._rehearsal = rehearsal = spawn(command("rehearse"))
        except OSError as error:
            event(log, logging.ERROR, "upgrade_refused", problem=error)
            return

        def give_up() -> None:
            if self._rehearsal == rehearsal:
                os.kill(rehearsal, signal.SIGKILL)  # it was not reaped, so this is still the one

        self._reactor.later(REHEARSE_WITHIN, give_up)

    def _rehearsed(self, status: int) -> None:
        self._rehearsal = 0
        if status:
            event(log, logging.ERROR, "upgrade_refused", status=status, problem="the program installed now cannot run")
        else:
            self._reactor.later(0, self._upgrade)  # once all is dealt with that was told together with this

    def _upgrade(self) -> None:
        if self._stopping:
            return
        if self.coming is not None or any(child.channel.has_queue for child in self.children.values()):
            self._reactor.later(0.1, self._upgrade)
            return
        event(log, logging.INFO, "upgrading", program=sys.executable)
        for handler in logging.getLogger().handlers:
            handler.flush()  # its thread ends with this program
        self._reactor.hold_signals()
        try:
            become_next(Estate(self.path, self.number, list(self.children.values()), self._holdings))
        except OSError as error:
            self._reactor.release_signals()
            event(log, logging.ERROR, "upgrade_refused", problem=error)
