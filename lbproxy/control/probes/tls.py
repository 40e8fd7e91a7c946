"""The tls probe: the backend is healthy if it ends a TLS handshake, with a good certificate where one is demanded.

For connectors that users reach through TLS passed on unread: all that can be seen of them without being a user. Where
the probe shows a certificate, the backend has to take it too, which in TLS 1.3 it decides after the handshake.
"""

from __future__ import annotations

import hashlib
import ssl
from dataclasses import dataclass

from lbproxy.control.probes import ProbeResult
from lbproxy.control.probes.attempt import attempt
from lbproxy.control.probes.connect import shake_hands

PATIENCE_PART = 0.25
"""Of the time for a probe: how long a backend that shows no sign may take to judge the certificate of the probe."""


@dataclass(frozen=True, slots=True)
class TlsProbe:
    """Shakes hands at `host` (a name or an address, no brackets) and `port` and leaves; `timeout` in seconds.

    `tls` says whether the certificate is verified; then it has to be for `server_name`, which is the SNI in any case.
    Of one that is not, the detail has the fingerprint. `greeting`: see `connect`.

    `question` is there if `tls` shows a certificate: see `attempt.describe`.
    """

    host: str
    port: int
    timeout: float
    tls: ssl.SSLContext
    server_name: str
    greeting: bytes = b""
    question: str = ""

    async def run(self) -> ProbeResult:
        """Probe once; see `Probe`."""
        return await attempt(self._shake_hands(), self.timeout, self.question)

    async def _shake_hands(self) -> tuple[bool, str]:
        patience = self.timeout * PATIENCE_PART if self.question else 0.0
        shown = await shake_hands(self.host, self.port, self.tls, self.server_name, self.greeting, patience)
        if self.tls.verify_mode is ssl.CERT_NONE:
            return True, f"{shown.version}, not verified: sha256 {hashlib.sha256(shown.certificate).hexdigest()}"
        return True, f"{shown.version}, certificate verified"
