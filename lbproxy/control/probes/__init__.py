"""Active health checks.

ProbeResult, Probe        what a check says, and what a check is
tcp, tls, http, kerberos  the kinds of check
connect, sockets          the connections that they open, and the cheap ones of tcp and http
connector                 aiohttp's connections, for pages of which more than a status is wanted
answer                    the head of an answer
attempt                   one run of a check: its time limit, and its failures in words
schedule                  when each backend is checked
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from lbproxy import __version__

USER_AGENT = f"lbproxy-probe/{__version__}"


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What one probe found: `detail` for people ("401", "connection refused"), `took` in seconds.

    `reason` is a label of the table of failures of this kind of check, if it has one (`kerberos.failures`). A good
    result may have one too: what kept the probe from checking everything.
    """

    ok: bool
    detail: str
    took: float
    reason: str | None = None


class Probe(Protocol):
    """One check of one backend."""

    async def run(self) -> ProbeResult:
        """Probe once. Ends within the probe's own timeout; whatever the backend does is a result, not an error."""
        ...
