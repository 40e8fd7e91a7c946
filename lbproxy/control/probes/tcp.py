"""The tcp probe: the backend is healthy if it accepts a connection."""

from __future__ import annotations

from dataclasses import dataclass

from lbproxy.control.probes import ProbeResult
from lbproxy.control.probes.attempt import attempt
from lbproxy.control.probes.sockets import Place, Sockets


@dataclass(frozen=True, slots=True)
class TcpProbe:
    """Connects to `place` and closes; `timeout` in seconds. `greeting`: see `connect`."""

    sockets: Sockets
    place: Place
    timeout: float
    greeting: bytes = b""

    async def run(self) -> ProbeResult:
        """Probe once; see `Probe`."""
        return await attempt(self._connect(), self.timeout)

    async def _connect(self) -> tuple[bool, str]:
        sock = await self.sockets.connect(self.place, self.greeting)
        sock.close()
        return True, "connected"
