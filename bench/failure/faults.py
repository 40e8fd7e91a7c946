"""The table of faults: how a connector fails, and how it recovers."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass

from bench.failure.instance import Instance

Act = Callable[[Instance], None]


@dataclass(frozen=True, slots=True)
class Fault:
    """`far`: the victim is in a network namespace of its own."""

    name: str
    about: str
    begin: Act
    end: Act
    far: bool = False


def _signal(number: signal.Signals) -> Act:
    return lambda victim: victim.signal(number)


def _tell(mood: str) -> Act:
    return lambda victim: victim.tell(mood)


def _cut_off(victim: Instance) -> None:
    assert victim.namespace is not None
    victim.namespace.cut_off()


def _join(victim: Instance) -> None:
    assert victim.namespace is not None
    victim.namespace.join()


TABLE = {
    row.name: row
    for row in (
        Fault("kill", "SIGKILL; started again at the end", _signal(signal.SIGKILL), Instance.start_again),
        Fault("stop", "SIGSTOP, then SIGCONT", _signal(signal.SIGSTOP), _signal(signal.SIGCONT)),
        Fault("term", "SIGTERM; started again at the end", _signal(signal.SIGTERM), Instance.start_again),
        Fault("reset", "every connection is reset, new ones when they are accepted", _tell("reset"), _tell("well")),
        Fault(
            "cut", "every answer ends early, at ten points in turn; probes are answered", _tell("cut"), _tell("well")
        ),
        Fault("black-hole", "every packet from and to it is dropped", _cut_off, _join, far=True),
    )
}
