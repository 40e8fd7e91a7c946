"""Where a proxy serves a scenario, and with what: all that its configuration is written from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.load.certificate import Certificate
from bench.load.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Site:
    """One proxy in one scenario.

    It listens on 127.0.0.1:`port`, in front of `backends` (ports of 127.0.0.1). `active` client connections ask, and
    `connections` are open, idle ones included. What the proxy writes goes to `directory`. `log` is its access log, the
    file that its standard output goes to as well.
    """

    name: str
    directory: Path
    port: int
    backends: tuple[int, ...]
    scenario: Scenario
    active: int
    certificate: Certificate
    keeps_apart: bool = False  # no backend connection serves two client connections

    @property
    def connections(self) -> int:
        return self.active + self.scenario.idle

    @property
    def scheme(self) -> str:
        return "https" if self.scenario.tls else "http"

    @property
    def log(self) -> Path:
        return self.directory / f"{self.name}.out"

    def write(self, text: str) -> Path:
        """Write the proxy's configuration file."""
        path = self.directory / f"{self.name}.conf"
        path.write_text(text)
        return path
