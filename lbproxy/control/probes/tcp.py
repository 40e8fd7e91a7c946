"""The tcp probe: the backend is healthy if it accepts a connection."""

from __future__ import annotations

from dataclasses import dataclass

from lbproxy.control.probes import ProbeResult
from lbproxy.control.probes.attempt import attempt
from lbproxy.control.probes.connect import connect


@dataclass(frozen=True, slots=True)
class TcpProbe:
    """Connects to `host` (a name or an address, no brackets) and `port` and closes; `timeout` in seconds.

    `greeting`: see `connect`.
    """

    host: str
    port: int
    timeout: float
    greeting: bytes = b""

    async def run(self) -> ProbeResult:
        """Probe once; see `Probe`."""
        return await attempt(self._connect(), self.timeout)

    async def _connect(self) -> tuple[bool, str]:
        sock = await connect(self.host, self.port, self.greeting)
        sock.close()
        return True, "connected"
