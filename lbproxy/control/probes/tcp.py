"""The tcp probe: the backend is healthy if it accepts a connection."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from lbproxy.control.probes import ProbeResult
from lbproxy.control.probes.attempt import attempt


@dataclass(frozen=True, slots=True)
class TcpProbe:
    """Connects to `host` (a name or an address, no brackets) and `port` and closes; `timeout` in seconds."""

    host: str
    port: int
    timeout: float

    async def run(self) -> ProbeResult:
        """Probe once; see `Probe`."""
        return await attempt(self._connect(), self.timeout)

    async def _connect(self) -> tuple[bool, str]:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(asyncio.Protocol, self.host, self.port)
        transport.close()
        return True, "connected"
