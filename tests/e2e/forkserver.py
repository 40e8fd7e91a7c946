"""A process that starts others of one kind by fork: it has imported, once, what each of them imports.

`python -m tests.e2e.forkserver KIND DESCRIPTOR`, a SOCK_SEQPACKET; `starting` has its other end. One message starts
one: its arguments, variables, and whether it leads a process group, as JSON, with four descriptors, which are its
standard output, its standard error, a pipe that gets its process id and then its exit status, a line each, and its
network namespace. The server ends when its socket does.

What is forked goes on as a process that was started by its command line does: what it is and does is its own. So do a
master's generations: it has a child that forks them, one that has not begun to be anything. An upgrade is started as
always, and all that comes after it.
"""

from __future__ import annotations

import atexit
import ctypes
import encodings.idna  # noqa: F401 - for the first name that is looked up
import gc
import json
import os
import runpy
import selectors
import socket
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from lbproxy.process.imports import quick_imports
from tests.namespaces import OWN_NETWORK, enter

from .surroundings import FORKS_GENERATIONS, READ_AT_EACH_USE

ORDER_SIZE = 1 << 16

COMM = Path("/proc/self/comm")
"""Its name for ps(1)."""

LIBC = ctypes.CDLL(None)

COMMANDS = (
    *("backend", "check", "connections", "drain", "fleet", "keepalived", "kick"),
    *("leave", "ready", "register", "reload", "rollout", "status"),
)
"""Those that the tests run often. Each of the others imports what it needs."""

Main = Callable[[list[str]], int]
"""What a process of one kind does with its arguments; its exit status."""

Role = Callable[[], int]
"""What a forked process goes on with."""


def balancer() -> Main:
    """A master, for the configuration at the path that is its argument."""
    with quick_imports():
        import lbproxy.process.generation.generation
        import lbproxy.process.generation.main
        import lbproxy.process.master.main  # noqa: F401
    return _begin


def balancer_with_clients() -> Main:
    """As `balancer`, for one that asks over HTTP: backends whether they are healthy, and etcd."""
    begin = balancer()
    with quick_imports():
        import lbproxy.control.discovery.etcd_source
        import lbproxy.control.metrics
        import lbproxy.control.probes.connector
        import lbproxy.runtime.build_consistency
        import lbproxy.runtime.build_fleet  # noqa: F401
    return begin


def connector() -> Main:
    """A sample connector."""
    with quick_imports():
        from lbproxy.demo.connector import main
    return main


def command() -> Main:
    """A command of lbproxy: what `python -m lbproxy` does."""
    with quick_imports():
        import lbproxy.config.fleet_alone  # noqa: F401

        for name in COMMANDS:
            import_module(f"lbproxy.cli.{name}")

    def main(arguments: list[str]) -> int:
        sys.argv = [sys.argv[0], *arguments]
        try:
            runpy.run_module("lbproxy", run_name="__main__", alter_sys=True)
        except SystemExit as end:
            if not isinstance(end.code, int):
                raise
            return end.code
        return 0

    return main


KINDS: dict[str, Callable[[], Main]] = {
    "balancer": balancer,
    "balancer_with_clients": balancer_with_clients,
    "connector": connector,
    "command": command,
}
"""Each imports what its processes need."""


class Server:
    def __init__(self, main: Main, orders: socket.socket) -> None:
        self._main = main
        self._orders = orders
        self._selector = selectors.DefaultSelector()
        self._selector.register(orders, selectors.EVENT_READ)

    def serve(self) -> Role | None:
        """Start processes until the orders end. Returns in each of them too: then what it has to do."""
        while True:
            for key, _ in self._selector.select():
                if key.data is not None:
                    self._report(*key.data)
                    continue
                order, descriptors, _, _ = socket.recv_fds(self._orders, ORDER_SIZE, 4)
                if not order:
                    return None
                if role := self._start(order, descriptors):
                    return role

    def _start(self, order: bytes, descriptors: list[int]) -> Role | None:
        """None in this process, which goes on."""
        threads = [*Path("/proc/self/task").iterdir()]
        assert len(threads) == 1, "a fork has none of the other threads"
        out, errors, report, network = descriptors
        arguments, variables, leads = json.loads(order)
        pid = os.fork()
        if leads:
            os.setpgid(pid, 0)  # by both: whichever comes first, a signal to the group finds it
        if not pid:
            self._selector.close()
            self._orders.detach()  # it is closed with all others
            os.dup2(out, 1)
            os.dup2(errors, 2)
            _enter(network)
            os.closerange(3, os.sysconf("SC_OPEN_MAX"))
            _take(variables)
            return lambda: self._main(arguments)
        for descriptor in (out, errors, network):
            os.close(descriptor)
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
    """Those that are read at each use become these."""
    for name in [name for name in os.environ if name.startswith(READ_AT_EACH_USE)]:
        del os.environ[name]
    os.environ.update(variables)


def _enter(network: int) -> None:
    """Be in that network namespace. Only root may enter another one than the server's."""
    if not os.path.samestat(os.fstat(network), OWN_NETWORK.stat()):
        enter(network)


def _begin(path: list[str]) -> int:
    """Be the master, or one of its generations."""
    from lbproxy.process.__main__ import main
    from lbproxy.process.master import generation_handle

    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if not os.fork():
        ours.close()
        return _fork_generations(theirs)
    theirs.close()
    always = generation_handle.spawn

    def spawn(arguments: list[str], errors: int = 2) -> int:
        role, *rest = arguments[4:]  # after: the interpreter, -P, -m, lbproxy.process
        if role != "generation":
            return always(arguments, errors)
        channel, number, path, *text = rest
        _adopt_orphans(True)
        try:
            order = json.dumps([number, path]).encode()
            socket.send_fds(ours, [order], [int(channel), errors, *map(int, text)])
            return int(ours.recv(ORDER_SIZE))
        finally:
            _adopt_orphans(False)

    generation_handle.spawn = spawn
    return main("master", *path)


def _fork_generations(orders: socket.socket) -> int:
    """Fork a generation for each order, until the master ends. Returns in each of them too, when that has ended."""
    own = COMM.read_text().rstrip()
    COMM.write_text(FORKS_GENERATIONS)
    while True:
        order, descriptors, _, _ = socket.recv_fds(orders, ORDER_SIZE, 3)
        if not order:
            return 0
        known, adopted = os.pipe(), os.pipe()
        between = os.fork()
        if not between:
            if pid := os.fork():
                os.write(known[1], b"%d" % pid)
                os._exit(0)  # the master adopts what this has forked
            os.read(adopted[0], 1)  # until then its parent is another process
            COMM.write_text(own)
            return _generation(order, descriptors, (orders.detach(), *known, *adopted))
        os.waitpid(between, 0)
        os.write(adopted[1], b".")
        orders.send(os.read(known[0], ORDER_SIZE))
        for descriptor in (*descriptors, *known, *adopted):
            os.close(descriptor)


def _generation(order: bytes, descriptors: list[int], others: Iterable[int]) -> int:
    from lbproxy.process.__main__ import main

    for other in others:
        os.close(other)
    channel, errors, *text = descriptors
    os.dup2(errors, 2)
    os.close(errors)
    return main("generation", str(channel), *json.loads(order), *map(str, text))


def _adopt_orphans(adopt: bool) -> None:
    """Whether what its children leave behind becomes this process's (PR_SET_CHILD_SUBREAPER, prctl(2))."""
    assert not LIBC.prctl(36, int(adopt), 0, 0, 0)


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
    kind, descriptor = sys.argv[1:]
    role = Server(KINDS[kind](), socket.socket(fileno=int(descriptor))).serve()
    _end(role() if role else 0)
