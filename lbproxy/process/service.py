"""The master's process, from its first image to its end."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from lbproxy.control import log as operational_log
from lbproxy.errors import StartError
from lbproxy.process.child import command
from lbproxy.process.holdings import Holdings
from lbproxy.process.master import SIGNALS, Master
from lbproxy.process.notify import Notifier
from lbproxy.process.reactor import Reactor
from lbproxy.process.upgrade import inherit


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
    holdings = Holdings()
    holdings.accept_given(os.environ)
    return _serve(path, holdings, Master.launch)


def go_on(descriptor: int) -> int:
    """The same, with what the image before this one had; a reload comes first."""
    estate = inherit(descriptor)

    def resume(master: Master) -> None:
        master.number = estate.number
        for child in estate.children:
            master.adopt(child)
        master.reload()

    return _serve(estate.path, estate.holdings, resume)


def _serve(path: Path, holdings: Holdings, start: Callable[[Master], None]) -> int:
    reactor = Reactor()
    master = Master(path, reactor, holdings, Notifier(os.environ))
    reactor.signals(SIGNALS, master.caught)
    handler = operational_log.setup()
    try:
        start(master)
        master.keep_alive()
        reactor.run()
    finally:
        handler.close()
        reactor.close()
    return master.status
