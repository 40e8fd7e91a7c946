"""The control plane around a model: probes, name resolution, logs, the admin interface, and what they all know.

Beside it is the data path: in this process, or in the workers.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

from lbproxy.balance.backend import Backend, State
from lbproxy.balance.operators import Said
from lbproxy.balance.orders import Stamp
from lbproxy.balance.pool import Pool
from lbproxy.config import Config
from lbproxy.control import tasks
from lbproxy.control.access_log import AccessLog
from lbproxy.control.admin.api import api_routes
from lbproxy.control.admin.routes import health_routes, metrics_routes
from lbproxy.control.admin.server import AdminServer
from lbproxy.control.discovery.discovery import Discovery
from lbproxy.control.log import event
from lbproxy.control.probes.kerberos.sign_ins import SignIns
from lbproxy.control.rollout.local import LocalRollouts
from lbproxy.control.snapshot import Snapshot
from lbproxy.control.tracing import Exporter
from lbproxy.process.generation import handover
from lbproxy.process.generation.admin_operations import Operations
from lbproxy.process.generation.exemplars import ExemplarSources
from lbproxy.process.generation.fleet_balancer import Ejections, FleetBalancer
from lbproxy.process.generation.lately import Lately
from lbproxy.process.generation.leaving import Leaving
from lbproxy.process.generation.live_connections import LiveConnections
from lbproxy.process.generation.log_level import LogLevels
from lbproxy.process.generation.serves_clients import ServesClients
from lbproxy.process.generation.tracing import start_exporter
from lbproxy.process.workers.supervisor import WorkerSupervisor
from lbproxy.runtime.addresses import Addresses
from lbproxy.runtime.build_discovery import Registry, make_discoveries
from lbproxy.runtime.build_etcd import connect
from lbproxy.runtime.channel_binding_check import keep_judging
from lbproxy.runtime.data_path import DataPath
from lbproxy.runtime.lane_tls import refuse_without_lanes
from lbproxy.runtime.model import Model
from lbproxy.runtime.pool_control import PoolControl, tell_all
from lbproxy.runtime.probe_certificate import make_identity
from lbproxy.status import counters
from lbproxy.status.counter_history import CounterHistory
from lbproxy.status.counters import Counters
from lbproxy.status.served import Served
from lbproxy.status.snapshot import snapshot
from lbproxy.status.tls_report import TlsReport, tls_report, together
from lbproxy.status.windows import Windows

if TYPE_CHECKING:
    from lbproxy.control.fleet.fleet import Fleet
    from lbproxy.dashboard.sessions import SessionView
    from lbproxy.process.generation.web_process import WebProcess

log = logging.getLogger(__name__)

OnOrder = Callable[[str, str, Said], None]
"""Called with a pool, a name, and what operators say of it, when that has changed."""


class ControlPlane:
    """`served` is what the snapshot tells of the generation; `pool_controls` are by the pool's name.

    `model` has the pools that everything is decided for. With workers there is a `supervisor`, and else a `data_path`:
    the one of them that is there is `serving`. `exporter` sends traces, if there is a collector.
    """

    fleet: Fleet | None = None
    exporter: Exporter | None = None
    web: WebProcess | None = None
    data_path: DataPath | None = None
    supervisor: WorkerSupervisor | None = None
    _signed_in: Sequence[SessionView] = ()

    def __init__(
        self, config: Config, inherited: handover.StartInputs, lost: Callable[[], None] = lambda: None
    ) -> None:
        """inherited: with a forker, the workers come from there; without one there is one only, in this process.

        lost: called when no worker can be forked any more. Call it on the running loop. Raises StartError.
        """
        self._config = config
        self.served = Served(inherited.number, inherited.origin)
        forker, secret, state = inherited.forker, inherited.secret, inherited.state
        self.access_log = AccessLog("") if forker else AccessLog(str(config.access_log.path), config.access_log.to)
        self._own = bytes.fromhex(secret["value"])
        if forker is None:
            log, logs = self.access_log.write, self.access_log.enabled
            self.data_path = DataPath(config, inherited.sockets, log, logs, [self._own])
            self.model = self.data_path.model
            self.serving: ServesClients = self.data_path
        else:
            model = self.model = Model(config, refuse_without_lanes(config))
            workers = WorkerSupervisor(config.worker_count, forker, model.pools, model.mints, lost)
            self.serving = self.supervisor = workers
        self._exemplars = ExemplarSources(self.data_path, self.supervisor)
        self.leaving = Leaving(config, self.serving, partial(setattr, self.served, "leaving"))
        self.sign_ins = SignIns(state["kerberos"]["sign_ins"] if state else {})
        self.log_level = LogLevels(self.served, self.supervisor)
        self.pool_controls: dict[str, PoolControl] = {}
        self.counter_history = CounterHistory(self._take, state["accounts"] if state else None)
        self.windows = Windows(self.model.pools, self._counted)
        self.rollouts = LocalRollouts(self.model.pools)
        self.lately = Lately(self.model.pools, self.windows, self._counted, state, inherited.events)
        self._heard: list[tuple[str, str, Said, Mapping[str, Any] | None]] = []  # before there was a `fleet`
        self._servers: list[AdminServer] = []
        self._secret, self._in_fleet = secret, state["fleet"] if state else None
        self._guards, self._probes = (state["guards"], state["kerberos"]["pools"]) if state else ({}, {})
        self._started = state["started"] if state else time.monotonic()
        self.etcd = None if config.fleet is None else connect(config.fleet)  # which all that need it share
        self._discoveries = self._make_discoveries()
        if state:
            self._go_on(state)

    def _go_on(self, state: handover.HandoverState) -> None:
        """With what the generation before this one has left to the pools and the mints."""
        self._signed_in = state.get("web", [])
        self.rollouts.adopt(state.get("rollouts", []))
        for pool, left_out in handover.operate(state["operated"], self.model.pools).items():
            _log_left_out(pool, left_out)
        handover.rediscover(state["discovered"], self._discoveries)
        handover.adopt(state["backends"], self.model.pools, time.monotonic())
        handover.remember_minted(state["minted"], self.model.mints)
        self.counter_history.follow(self.model.pools.values())

    def _make_discoveries(self) -> dict[str, list[Discovery]]:
        """By the pool's name."""
        fleet, registry, pools = self._config.fleet, None, self.model.pools
        if fleet is not None and self.etcd is not None:
            registry = Registry(self.etcd, fleet, self._left_on)
        return {name: make_discoveries(pool, self._config.pools[name], registry) for name, pool in pools.items()}

    def __repr__(self) -> str:
        return f"<control plane, {self.served.state}>"

    async def start(self, stack: AsyncExitStack) -> None:
        """Everything but accepting, registered on `stack` to be stopped in reverse order."""
        config, pools = self._config, self.model.pools
        self.exporter = start_exporter(config, stack, self.data_path, self.supervisor)
        self._stop_with(stack)
        self.model.on_tick.append(self.windows.tick)
        self.lately.start(stack, self.model.on_tick)
        self.model.keep_time()
        for name, pool in pools.items():  # before anything is waited for: an operator's order may come by then
            known = [backend.name for backend in pool.backends if backend.state is not State.NEW]
            control = PoolControl(
                pool,
                config.pools[name],
                config.server_url,
                known,
                self.sign_ins,
                make_identity(config, name),
                self._discoveries[name],
                self._counted,
            )
            self.pool_controls[name] = control
            stack.push_async_callback(control.stop)
        self._remind()
        await self._start_fleet(stack)
        addresses = Addresses(pools.values(), self.serving.resolved)
        stack.push_async_callback(addresses.stop)
        for control in self.pool_controls.values():
            control.start_discovery()  # it asks at the next turn of the loop, when all observers follow the pools
        await addresses.start()
        judge = keep_judging(
            config, partial(tell_all, self.pool_controls.values()), lambda name: self.pool_controls[name].pool.backends
        )
        judging = tasks.start(judge, name="extended protection")
        stack.callback(judging.cancel)

    def _stop_with(self, stack: AsyncExitStack) -> None:
        """What is there already."""
        stack.callback(self.access_log.close)
        if self.etcd is not None:
            stack.push_async_callback(self.etcd.close)
        stack.callback(self.model.stop)
        if self.data_path is not None:
            stack.callback(self.data_path.stop)
        if self.supervisor is not None:
            stack.push_async_callback(self.supervisor.stop)
        stack.push_async_callback(self.leaving.stop)

    async def _left_on(self, pool: str) -> dict[str, int] | None:
        """What is left on backends that have left `pool`: see `acknowledger.Count`."""
        if self.counter_history.orphans or (self._count is not None and not await self._count()):
            return None  # workers have not told what they have, and those of a killed generation never will
        return counters.departed(counters.total(self._take()), pool)

    async def _start_fleet(self, stack: AsyncExitStack) -> None:
        """A backend that is drained in the fleet gets no request before that is known, if etcd answers at once."""
        if self.etcd is None:
            return
        from lbproxy.runtime.build_fleet import make_fleet  # only where there is one

        ways = (self._carry_out, self._counted, self._count, self._seal, self.counter_history)
        balancer, run = FleetBalancer(self.pool_controls, self.served, *ways), self.served.origin.run
        self.fleet = make_fleet(self._config, self.etcd, run, self.served.number, balancer, self._in_fleet)
        stack.push_async_callback(self.fleet.stop)
        for control in self.pool_controls.values():
            control.pool.observers.append(Ejections(self.fleet.look))
        for one in self._heard:
            self.fleet.hear(*one)
        self.fleet.start()
        await self.fleet.begun()

    def _seal(self, secrets: Sequence[bytes], first: bool) -> None:
        self.serving.seal([*secrets, self._own] if first else [self._own, *secrets])

    def _remind(self) -> None:
        """Probes and guards go on with what the generation before this one knew."""
        for name, control in self.pool_controls.items():
            if name in self._probes:
                control.probes.remember(self._probes[name])
            if control.guard is not None and name in self._guards:
                control.guard.remember(self._guards[name])

    async def first_round(self) -> None:
        """Wait until every backend that is not known yet has had its first probe."""
        await asyncio.gather(*(pool_control.first_round() for pool_control in self.pool_controls.values()))
        if self.supervisor is not None:
            await self.supervisor.ready()

    def accept(self) -> None:
        """Let clients in from now on."""
        self.serving.start()
        if self.fleet is not None:
            self.fleet.join()

    def replaced(self) -> None:
        """Another generation of this balancer accepts."""
        self.sign_ins.retire()
        self.log_level.end()
        if self.fleet is not None:
            self.fleet.retire()

    async def open_admin(
        self,
        stack: AsyncExitStack,
        sock: socket.socket,
        reload: Callable[[], Awaitable[Sequence[str]]],
        on_order: OnOrder,
    ) -> None:
        """Serve the admin interface on `sock`."""
        fleet = self.fleet

        def told(pool: str, name: str, said: Said, stamp: Stamp, fields: tuple[str, ...] | None) -> None:
            if fleet is not None:
                fleet.give(pool, name, said, stamp, fields)
            on_order(pool, name, said)

        self.rollouts.resume()
        settle, rollouts = (None, self.rollouts) if fleet is None else (fleet.orders.settled, fleet.rollouts)
        in_fleet = (lambda _: None) if fleet is None else fleet.instance
        operations = Operations(self.pool_controls, self._counted, self.windows, told, in_fleet, self.counter_history)
        live = LiveConnections(self.data_path, self.supervisor, self.model.pools)
        ways = (self._count, settle, self.bare_view, self._exemplars)
        parts = (reload, self.leaving, live, self.lately, self.log_level, rollouts)
        routes = api_routes(self.view, operations, *parts, *ways)
        stack.push_async_callback(self.close_admin)
        await self._open(AdminServer(sock, routes))

    async def open_health(self, sock: socket.socket) -> None:
        """Say on `sock`, to any client, whether this process does its work; `close_admin` ends that too."""
        await self._open(AdminServer(sock, health_routes(self.bare_view), anybody=True))

    async def open_metrics(self, sock: socket.socket) -> None:
        """Let any client of `sock` scrape; `close_admin` ends that too."""
        await self._open(AdminServer(sock, metrics_routes(self.bare_view, self._count, self._exemplars), anybody=True))

    def open_web(self, sock: socket.socket) -> None:
        """Have a process serve the dashboard on `sock`; `close_admin` ends that too."""
        from lbproxy.process.generation.web_process import WebProcess  # only where there is one

        assert self._config.admin.web is not None, "the socket is its"
        self.web = WebProcess(self._config, self._config.admin.web, sock, self._signed_in)
        self.web.start()

    @property
    def _count(self) -> Callable[[], Awaitable[bool]] | None:
        """What brings the counters of other processes up to date, if there are any."""
        return None if self.supervisor is None else self.supervisor.count

    async def _open(self, server: AdminServer) -> None:
        self._servers.append(server)
        await server.start()

    async def close_admin(self) -> None:
        """Answer no more requests: another process does, or none."""
        self.lately.events.stop()
        if self.web is not None:
            await self.web.stop()
        for server in self._servers:
            await server.stop()

    def reopen_log(self) -> None:
        """Open the access log again."""
        self.access_log.reopen()
        if self.supervisor is not None:
            self.supervisor.reopen()

    def view(self, recent: bool = True) -> Snapshot:
        """Everything, now; recent: also the last minutes of the backends, which takes time."""
        uptime, counted, tls = time.monotonic() - self._started, self.counter_history.total(), self._tls()
        fleet, windows = None if self.fleet is None else self.fleet.view(), self.windows if recent else None
        known = (uptime, counted, tls, windows, fleet, self.rollouts.views)
        return snapshot(self._config, self.pool_controls, self.served, *known)

    def bare_view(self) -> Snapshot:
        """The same without what is recent."""
        return self.view(recent=False)

    def _take(self) -> list[Counters]:
        """What each process of this generation has counted."""
        exported = [] if self.exporter is None else [{"tracing": self.exporter.counted()}]
        if self.data_path is not None:
            return [counters.take(self.data_path, self.access_log), *exported]
        assert self.supervisor is not None
        return [counters.take_model(self.model), *self.supervisor.counters(), *exported]

    def _counted(self, pool: Pool, backend: Backend) -> Counters:
        """What all processes have counted of `backend`."""
        name = counters.key(pool, backend)
        if self.supervisor is None:
            own = [{**counters.of_backend(backend)}]
        else:
            workers = (counters.of_backend_alone(one, name) for one in self.supervisor.counters())
            own = [counters.of_backend_in_model(backend), *workers]
        return self.counter_history.of_backend(name, own)

    def _tls(self) -> TlsReport:
        """What is known of TLS, in whichever process it is."""
        if self.data_path is not None:
            known = tls_report(self._config, self.data_path, time.time())
        else:
            assert self.supervisor is not None
            known = self.supervisor.tls()
        return known if self.web is None else together(known, self.web.tls)

    def export(self) -> handover.HandoverState:
        """For the next generation."""
        return {
            "format": handover.FORMAT,
            "backends": handover.export(self.pool_controls),
            "operated": handover.export_operated(self.model.pools),
            "discovered": handover.export_discovered(self.pool_controls),
            "guards": handover.export_guards(self.pool_controls),
            "kerberos": handover.export_kerberos(self.pool_controls, self.sign_ins),
            "minted": handover.export_minted(self.model.mints),
            "secret": self._secret,
            "accounts": self.counter_history.accounts(self.served.number),
            "started": self._started,
            "fleet": None if self.fleet is None else self.fleet.memory(),
            "history": self.lately.history.export(),
            "events": self.lately.events.view(),
            "rollouts": self.rollouts.export(),
            "web": [] if self.web is None else self.web.sessions,
        }

    def hear(self, pool: str, name: str, told: Said, given: Mapping[str, Any] | None) -> None:
        """What operators have said to the generation before this one, while this one started; see `Fleet.hear`."""
        if self.fleet is not None:
            self.fleet.hear(pool, name, told, given)
        else:
            self._carry_out(pool, name, told)
            self._heard.append((pool, name, told, given))

    def _carry_out(self, pool: str, name: str, told: Said) -> None:
        """Operators have said that of a backend, on whatever replica."""
        pool_control = self.pool_controls.get(pool)
        if pool_control is not None:
            _log_left_out(pool, pool_control.hear(name, told))
        elif told.member is not None:
            _log_left_out(pool, [f"{name}: the configuration has no pool {pool}"])

    def obey(self, pool: str, name: str, draining: bool) -> None:
        """The same of a version that tells of drains only."""
        pool_control = self.pool_controls.get(pool)
        backend = pool_control.pool.by_name(name) if pool_control else None
        if pool_control is None or backend is None:
            return  # this configuration knows no such backend
        (pool_control.drain if draining else pool_control.ready)(backend)


def _log_left_out(pool: str, sentences: Iterable[str]) -> None:
    for why in sentences:
        event(log, logging.WARNING, "backend_left_out", pool=pool, why=why)
