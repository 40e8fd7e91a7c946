"""The master's process, from its first image to its end."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from lbproxy.control import log as operational_log
from lbproxy.errors import StartError
from lbproxy.process.ipc.reactor import Reactor
from lbproxy.process.master.generation_handle import command
from lbproxy.process.master.held_sockets import HeldSockets
from lbproxy.process.master.master import SIGNALS, Master
from lbproxy.process.master.reexec import inherit
from lbproxy.process.master.sd_notify import Notifier


def run(path: Path) -> NoReturn:
    """Turn this process into the master for the configuration at `path`. Raises StartError.

    By exec, so that nothing of the command line stays in the master's memory.
    """
    arguments = command("master", str(path.absolute()))
    try:
        os.execv(arguments[0], arguments)
    except OSError as error:
        raise StartError(f"cannot run {arguments[0]}: {error.strerror}") from error


def begin(path: Path) -> int:
    """Serve until told to stop; the exit status."""
    held_sockets = HeldSockets()
    held_sockets.accept_given(os.environ)
    return _serve(path, held_sockets, Master.launch)


def go_on(descriptor: int) -> int:
    """The same, with what the image before this one had; a reload comes first."""
    reexec_state = inherit(descriptor)

    def resume(master: Master) -> None:
        master.number = reexec_state.number
        for handle in reexec_state.handles:
            master.adopt(handle)
        for number, lifeline in reexec_state.orphans.items():
            master.endings.follow(number, lifeline)
        master.reload()

    return _serve(reexec_state.path, reexec_state.held_sockets, resume)


def _serve(path: Path, held_sockets: HeldSockets, start: Callable[[Master], None]) -> int:
    reactor = Reactor()
    master = Master(path, reactor, held_sockets, Notifier(os.environ))
    reactor.signals(SIGNALS, master.caught)
    operational_log.setup()
    logging.getLogger().addHandler(master.own_events)
    try:
        start(master)
        master.keep_alive()
        reactor.run()
    finally:
        operational_log.finish()
        reactor.close()
    return master.status
