"""Channel bindings: both certificates, of the listener and of each https backend."""

from __future__ import annotations

from lbproxy.doctor.balancer.sight import Sight
from lbproxy.doctor.finding import Finding, Found, ok, unseen, warning
from lbproxy.runtime import channel_binding_check

WHY = "A connector that demands extended protection refuses every browser on Windows."


async def bindings(sight: Sight) -> Found:
    """For each https backend whether extended protection can work."""
    judged = await channel_binding_check.judge(sight.config)
    if not judged:
        return [ok("no https backend is behind a listener with TLS: leave extended protection off at the connectors")]
    return [_finding(f"{pool}/{name}", one) for (pool, name), one in judged.items()]


def _finding(subject: str, found: channel_binding_check.Finding) -> Finding:
    if found.label == "works":
        return ok(found.text, subject)
    if found.label == "unknown":
        return unseen(found.text, subject=subject)
    repair = "extended protection off at the connectors; or the listener's certificate there; or mode sni"
    return warning(found.text, repair=repair, subject=subject)
