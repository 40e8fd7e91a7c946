"""The control plane and, with one worker, the data path, on one loop: from a configuration file to a clean stop."""

from __future__ import annotations

import asyncio
import gc
import logging
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from lbproxy.balance.backend import Backend
from lbproxy.config import Config, load
from lbproxy.control import log as operational_log
from lbproxy.control import tasks, unraisable
from lbproxy.control.access_log import AccessLog
from lbproxy.control.admin.orders import order_routes
from lbproxy.control.admin.routes import read_routes
from lbproxy.control.admin.server import AdminServer
from lbproxy.control.admin.sockets import listen
from lbproxy.control.discovery.resolver import Resolver
from lbproxy.control.log import event
from lbproxy.control.snapshot import Snapshot
from lbproxy.errors import ConfigError
from lbproxy.process.link import Link
from lbproxy.process.operations import Operations
from lbproxy.process.preflight import inspect
from lbproxy.process.protection import Finding, Key, keep_judging
from lbproxy.process.sockets import listen_all
from lbproxy.process.view import RunState, snapshot
from lbproxy.process.worker import Worker

log = logging.getLogger(__name__)


def run(path: Path) -> None:
    """Serve what the file at `path` says, until TERM or INT. Raises ConfigError or StartError when it cannot start."""
    config = load(path)
    report = inspect(config, datetime.now(UTC))
    if report.problems:
        raise ConfigError(str(path), report.problems)
    handler = operational_log.setup()
    unraisable.install()
    _raise_descriptor_limit()
    try:
        for warning in (*report.warnings, *report.unused):
            event(log, logging.WARNING, "config_warning", key=warning.where, text=warning.text)
        uvloop.run(Generation(config, listen_all(config)).serve())
    finally:
        handler.close()


def _raise_descriptor_limit() -> None:
    """Each client connection needs a descriptor, and so does each lane: use all that this process may have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Generation:
    """The processes that serve one version of the configuration: for now, this one."""

    def __init__(self, config: Config, sockets: Mapping[str, socket.socket]) -> None:
        """sockets: one for each listener, by its name; closed in the end."""
        self._config = config
        self._sockets = sockets
        self._state: RunState = "starting"
        self._started = time.monotonic()
        self._stop = asyncio.Event()  # accept no more, let requests finish
        self._end = asyncio.Event()  # now

    def __repr__(self) -> str:
        return f"<generation {self._config.server_url} {self._state}>"

    async def serve(self) -> None:
        """Start, serve, drain. Returns when everything is closed."""
        self._watch_signals()
        try:
            async with AsyncExitStack() as stack:
                await self._until_told(await self._start(stack))
        finally:
            self._close_sockets()
        event(log, logging.INFO, "stopped")

    async def _start(self, stack: AsyncExitStack) -> Worker:
        """Everything that runs, registered on `stack` to be stopped in reverse order."""
        config = self._config
        access_log = AccessLog(str(config.access_log.path))
        stack.callback(access_log.close)
        admin_socket = listen(config.admin.bind.path or (config.admin.bind.host, config.admin.bind.port))
        stack.callback(admin_socket.close)
        worker = Worker(config, self._sockets, access_log.write, access_log.enabled)
        stack.callback(worker.stop)
        resolver = _resolver(worker)
        stack.push_async_callback(resolver.stop)
        await resolver.start()
        worker.start()
        links: dict[str, Link] = {}
        for name, pool in worker.pools.items():
            links[name] = Link(pool, config.pools[name], config.server_url)
            stack.push_async_callback(links[name].stop)

        judging = tasks.start(keep_judging(config, _tell(links.values())), name="extended protection")
        stack.callback(judging.cancel)

        def view() -> Snapshot:
            uptime = time.monotonic() - self._started
            return snapshot(config, worker, links, access_log, self._state, uptime)

        admin = AdminServer(admin_socket, [*read_routes(view), *order_routes(Operations(links))])
        stack.push_async_callback(admin.stop)
        await admin.start()
        await self._first_round(links)
        return worker

    async def _first_round(self, links: Mapping[str, Link]) -> None:
        """Wait until every backend has had its first probe, or somebody wants to stop."""
        rounds = asyncio.gather(*(link.prober.first_round.wait() for link in links.values()))
        stopped = asyncio.ensure_future(self._stop.wait())
        await asyncio.wait((rounds, stopped), return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not rounds.done():
            rounds.cancel()
            return
        # What is there now stays: the collector need not look at it again and again.
        gc.collect()
        gc.freeze()
        self._state = "serving"
        print(f"ready: {self._config.server_url}", file=sys.stderr, flush=True)

    async def _until_told(self, worker: Worker) -> None:
        await self._stop.wait()
        self._state = "draining"
        event(log, logging.INFO, "draining", connections=worker.connections, within=self._config.drain_timeout)
        draining = asyncio.ensure_future(worker.drain(self._config.drain_timeout))
        await asyncio.sleep(0)  # it has accepted what waited: from here on new clients are refused, not left hanging
        self._close_sockets()
        ended = asyncio.ensure_future(self._end.wait())
        await asyncio.wait({draining, ended}, return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        draining.cancel()
        if worker.connections:
            event(log, logging.WARNING, "connections_cut", connections=worker.connections)

    def _close_sockets(self) -> None:
        for sock in self._sockets.values():
            sock.close()

    def _watch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._terminated)
        for number in (signal.SIGINT, signal.SIGQUIT):
            loop.add_signal_handler(number, self._interrupted)

    def _terminated(self) -> None:
        """TERM drains; a second one ends at once."""
        if self._stop.is_set():
            self._end.set()
        self._stop.set()

    def _interrupted(self) -> None:
        self._stop.set()
        self._end.set()


def _tell(links: Iterable[Link]) -> Callable[[Mapping[Key, Finding]], None]:
    def tell(findings: Mapping[Key, Finding]) -> None:
        for link in links:
            link.protected(findings)

    return tell


def _resolver(worker: Worker) -> Resolver:
    """Tells each backend's lanes where it is. Backends of two pools may share a name, so places count here."""
    backends: dict[str, Backend] = {
        f"{pool.name}/{backend.name}": backend for pool in worker.pools.values() for backend in pool.backends
    }

    def found(name: str, family: socket.AddressFamily, address: tuple[object, ...]) -> None:
        backends[name].lanes.address = (family, address)

    return Resolver({name: (backend.host, backend.port) for name, backend in backends.items()}, found)
