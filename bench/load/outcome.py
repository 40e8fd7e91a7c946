"""A run's figures: as they are measured, summed up, saved and read again."""

from __future__ import annotations

import json
import os
import platform
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bench.errors import BenchError
from bench.load.load import Load


@dataclass(frozen=True, slots=True)
class Round:
    """What the load generator saw, and the nanoseconds on a CPU that the proxy's processes spent meanwhile."""

    load: Load
    cpu_ns: int

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
    def spread(self) -> float:
        """The dearest round's CPU time a request over the cheapest one's."""
        costs = [one.cpu_us for one in self.rounds]
        return max(costs) / min(costs)

    @property
    def errors(self) -> int:
        return sum(one.load.errors for one in self.rounds)

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

    def doubt(self, max_spread: float) -> str:
        """Why no ratio may be made of this result; "" when there is no reason."""
        if self.errors:
            return f"{self.errors} errors"
        if len(self.rounds) < 2:
            return "one round"
        return f"spread {self.spread:.2f}" if self.spread > max_spread else ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A whole run: where and how it was made (`about`), its results, and why a scenario (its name) has none."""

    about: dict[str, Any]
    results: tuple[Result, ...]
    failures: dict[str, str]

    def of(self, scenario: str, peer: str) -> Result | None:
        return next((one for one in self.results if (one.scenario, one.peer) == (scenario, peer)), None)

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> Outcome:
        """The outcome that `save` wrote; BenchError when the file holds something else."""
        try:
            document = json.loads(path.read_text())
            results = tuple(_result(item) for item in document["results"])
            return cls(document["about"], results, document["failures"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BenchError(f"{path} is not a saved run: {error!r}") from error


def ratio(result: Result, reference: Result | None, max_spread: float) -> float | str:
    """CPU time a request of `result` over that of `reference`, or why there is none to be trusted."""
    if reference is None:
        return ""
    doubts = {one.peer: doubt for one in (result, reference) if (doubt := one.doubt(max_spread))}
    if doubts:
        return "; ".join(f"{peer}: {doubt}" for peer, doubt in doubts.items())
    return result.cpu_us / reference.cpu_us


def machine() -> dict[str, str]:
    """What a figure depends on, besides the programs."""
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return {
        "cpu": model[1] if model else platform.processor(),
        "cores": str(os.cpu_count()),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_average_before": f"{os.getloadavg()[0]:.2f}",
    }


def _result(item: dict[str, Any]) -> Result:
    rounds = tuple(Round(Load(**one["load"]), one["cpu_ns"]) for one in item["rounds"])
    return Result(item["scenario"], item["peer"], item["pss_bytes"], rounds, item["tls"])
