"""A process that starts balancers by fork: it has imported, once, what each master and generation imports.

`python -m tests.e2e.forkserver DESCRIPTOR`, a SOCK_SEQPACKET; `starting` has its other end. One message starts one
balancer: a path and variables as JSON, with three descriptors, which are its standard output, its standard error, and
a pipe that gets the master's process id and then its exit status, a line each. It ends when its socket does.

What is forked goes on in `lbproxy.process`, as a process that was started by its command line does: what a balancer is
and does is its own. Its first generation comes from here too; each later one, and each upgrade, is started as always.
"""

from __future__ import annotations

import atexit
import encodings.idna  # noqa: F401 - for the first name that is looked up
import gc
import json
import os
import selectors
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from lbproxy.process.__main__ import main
from lbproxy.process.imports import quick_imports

with quick_imports():
    import lbproxy.process.generation.generation
    import lbproxy.process.generation.main
    import lbproxy.process.master.main  # noqa: F401
    from lbproxy.process.master import generation_handle

KERBEROS = "KRB5"
"""What the names of libkrb5's variables begin with. It reads them at each use: they may differ between balancers."""

ORDER_SIZE = 1 << 16

Role = Callable[[], int]
"""What a forked process goes on with; its exit status."""


class Server:
    def __init__(self, orders: socket.socket) -> None:
        self._orders = orders
        self._selector = selectors.DefaultSelector()
        self._selector.register(orders, selectors.EVENT_READ)

    def serve(self) -> Role | None:
        """Start balancers until the orders end. Returns in each of them too: then what it has to do."""
        while True:
            for key, _ in self._selector.select():
                if key.data is not None:
                    self._report(*key.data)
                    continue
                order, descriptors, _, _ = socket.recv_fds(self._orders, ORDER_SIZE, 3)
                if not order:
                    return None
                if role := self._start(order, descriptors):
                    return role

    def _start(self, order: bytes, descriptors: list[int]) -> Role | None:
        """None in this process, which goes on."""
        threads = [*Path("/proc/self/task").iterdir()]
        assert len(threads) == 1, "a fork has none of the other threads"
        out, errors, report = descriptors
        pid = os.fork()
        if not pid:
            self._selector.close()
            self._orders.detach()  # it is closed with all others
            os.dup2(out, 1)
            os.dup2(errors, 2)
            os.closerange(3, os.sysconf("SC_OPEN_MAX"))
            path, variables = json.loads(order)
            _take(variables)
            return lambda: _begin(path)
        os.close(out)
        os.close(errors)
        os.write(report, b"%d\n" % pid)
        ended = os.pidfd_open(pid)
        self._selector.register(ended, selectors.EVENT_READ, (ended, pid, report))
        return None

    def _report(self, ended: int, pid: int, report: int) -> None:
        _, status = os.waitpid(pid, 0)
        self._selector.unregister(ended)
        os.close(ended)
        with suppress(BrokenPipeError):  # the test has ended
            os.write(report, b"%d\n" % os.waitstatus_to_exitcode(status))
        os.close(report)


def _take(variables: dict[str, str]) -> None:
    """Kerberos' variables become these."""
    for name in [name for name in os.environ if name.startswith(KERBEROS)]:
        del os.environ[name]
    os.environ.update(variables)


def _begin(path: str) -> int:
    """Be the master; its first generation is forked before it has begun, and waits until it starts one."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    generation = os.fork()
    if not generation:
        ours.close()
        return _wait(theirs)
    theirs.close()
    always = generation_handle.spawn

    def spawn(arguments: list[str], errors: int = 2) -> int:
        generation_handle.spawn = always
        channel, *rest = arguments[-3:]
        with ours:
            socket.send_fds(ours, [json.dumps(rest).encode()], [int(channel)])
        return generation

    generation_handle.spawn = spawn
    return main("master", path)


def _wait(orders: socket.socket) -> int:
    """Be the generation that the master starts, unless that ends before."""
    with orders:
        order, descriptors, _, _ = socket.recv_fds(orders, ORDER_SIZE, 1)
    if not order:
        return 0
    return main("generation", str(descriptors[0]), *json.loads(order))


def _end(status: int) -> NoReturn:
    """End as the interpreter does, but for what was imported: to take it apart would copy every page of it.

    What was left behind, such as a coroutine that was never awaited, says so here.
    """
    threading._shutdown()  # type: ignore[attr-defined]  # waits for those that are no daemons
    atexit._run_exitfuncs()
    gc.collect()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    role = Server(socket.socket(fileno=int(sys.argv[1]))).serve()
    _end(role() if role else 0)
