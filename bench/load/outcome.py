"""Figures as they are measured, and summed up."""

from __future__ import annotations

import os
import platform
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

from bench.load.load import Load


@dataclass(frozen=True, slots=True)
class Round:
    """What the load generator saw, and the nanoseconds on a CPU that the proxy's processes spent meanwhile.

    `beside` is what small requests beside the load saw, by the kind of their connections, in a scenario that has them.
    """

    load: Load
    cpu_ns: int
    beside: Mapping[str, Load] = field(default_factory=dict)

    @property
    def cpu_us(self) -> float:
        """Microseconds of CPU time a request."""
        return self.cpu_ns / 1000 / self.load.requests

    @property
    def busy(self) -> float:
        """The share of the time that the proxy was on a CPU. Well below 1, requests/s is not the proxy's limit."""
        return self.cpu_ns / 1e9 / self.load.seconds


@dataclass(frozen=True, slots=True)
class Result:
    """One peer in one scenario: its rounds, its memory after them (PSS), and the TLS version and cipher, if any."""

    scenario: str
    peer: str
    pss_bytes: int
    rounds: tuple[Round, ...]
    tls: str = ""

    @property
    def cpu_us(self) -> float:
        """Microseconds of CPU time a request, in the median round."""
        return median(one.cpu_us for one in self.rounds)

    @property
    def errors(self) -> int:
        return sum(load.errors for one in self.rounds for load in (one.load, *one.beside.values()))

    @property
    def beside(self) -> list[str]:
        """The kinds of connections that small requests came on beside the load."""
        return list(self.rounds[0].beside)

    def beside_us(self, kind: str, percentile: str) -> float:
        """Microseconds that a small request on such a connection took beside the load, in the median round."""
        values: list[float] = [getattr(one.beside[kind], f"{percentile}_us") for one in self.rounds]
        return median(values)

    @property
    def busy(self) -> float:
        return median(one.busy for one in self.rounds)

    @property
    def requests_per_second(self) -> float:
        return median(one.load.requests / one.load.seconds for one in self.rounds)

    def latency_us(self, percentile: str) -> float:
        """The median round's `percentile`: p50, p99 or p999."""
        values: list[float] = [getattr(one.load, f"{percentile}_us") for one in self.rounds]
        return median(values)


@dataclass(frozen=True, slots=True)
class Run:
    """Every scenario once: the results, and why a scenario (its name) has none."""

    results: tuple[Result, ...]
    failures: dict[str, str]

    def of(self, scenario: str, peer: str) -> Result | None:
        return next((one for one in self.results if (one.scenario, one.peer) == (scenario, peer)), None)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is saved: where and how it was made (`about`), and the runs."""

    about: dict[str, Any]
    runs: tuple[Run, ...]

    @property
    def scenarios(self) -> list[str]:
        """The names of those that have results, in the order they were measured."""
        return list(dict.fromkeys(result.scenario for run in self.runs for result in run.results))

    @property
    def peers(self) -> list[str]:
        return list(dict.fromkeys(result.peer for run in self.runs for result in run.results))

    @property
    def failed(self) -> bool:
        """Whether a scenario could not be measured."""
        return any(run.failures for run in self.runs)

    def with_run(self, run: Run) -> Outcome:
        return replace(self, runs=(*self.runs, run))


def machine() -> dict[str, str]:
    """What a figure depends on, besides the programs."""
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return {
        "cpu": model[1] if model else platform.processor(),
        "cores": str(os.cpu_count()),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "openssl": ssl.OPENSSL_VERSION,
        "load_average_before": f"{os.getloadavg()[0]:.2f}",
    }
