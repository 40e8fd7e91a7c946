"""One case: three connectors, a proxy, the users, and a fault in their midst."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError
from bench.failure import namespace
from bench.failure.faults import Fault
from bench.failure.figures import Figures, Window, before_the_fault, figures
from bench.failure.instance import Instance
from bench.failure.namespace import Namespace
from bench.failure.peers import Place, Setting
from bench.failure.traffic import Traffic
from bench.failure.watch import Watch
from bench.processes import PROXY_CORE, Child, free_ports

_HOSTS = ("127.0.0.11", "127.0.0.12")
_VICTIM = "127.0.0.13"
_READY = 2.0  # seconds for the users to get ready, and for first probes
_BEFORE = 2.0  # seconds of traffic before the fault


@dataclass(frozen=True, slots=True)
class Plan:
    """`rate` requests a second; the fault lasts `fault` seconds, and `after` more seconds show the recovery."""

    rate: int = 500
    fault: float = 3.0
    after: float = 10.0

    @property
    def seconds(self) -> float:
        """Of traffic in one case."""
        return _BEFORE + self.fault + self.after


def run(setting: Setting, fault: Fault, plan: Plan, directory: Path) -> Figures:
    """Play the case; its files are left in `directory`. BenchError when it cannot be played."""
    directory.mkdir(parents=True)
    with ExitStack() as stack:
        away = stack.enter_context(Namespace()) if fault.far else None
        port, connector_port, probe_port = free_ports(3)
        place = Place((*_HOSTS, away.address if away else _VICTIM), connector_port, probe_port)
        connectors = [stack.enter_context(Instance(host, place, directory)) for host in _HOSTS]
        victim = stack.enter_context(Instance(place.hosts[-1], place, directory, away))
        proxy = stack.enter_context(Child(setting.name, setting.command(directory, port, place), PROXY_CORE, directory))
        proxy.wait_until(lambda: setting.ready(port, proxy))
        watch = None if namespace.why_not() else stack.enter_context(Watch(victim.host, connector_port))
        window = _window(plan)
        traffic = Traffic(directory, port, plan.rate, plan.seconds, window.begin - _BEFORE)
        stack.enter_context(traffic)
        _play(victim, fault, window)
        records = traffic.records()
    if early := before_the_fault(records, window):
        raise BenchError(f"{len(early)} requests failed before the fault; the first: {early[0]}")
    return figures(records, [one.ran() for one in (*connectors, victim)], window, watch.times if watch else None)


def _window(plan: Plan) -> Window:
    begin = time.monotonic() + _READY + _BEFORE
    return Window(begin, begin + plan.fault, begin + plan.fault + plan.after)


def _play(victim: Instance, fault: Fault, window: Window) -> None:
    _at(window.begin, fault.begin, victim)
    _at(window.end, fault.end, victim)


def _at(moment: float, act: Callable[[Instance], None], victim: Instance) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))
    act(victim)
