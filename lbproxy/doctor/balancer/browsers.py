"""The policies by which browsers send tickets to server_url."""

from __future__ import annotations

from collections.abc import Iterator

from lbproxy.doctor.balancer.sight import Sight
from lbproxy.doctor.finding import Finding, ok, problem
from lbproxy.ip_addresses import ip_of

WHY = "Browsers send tickets only to sites that an administrator has listed; others get the form, or a prompt."


def policies(sight: Sight) -> Iterator[Finding]:
    """What to set; nothing here can see whether it is."""
    name, url = sight.config.server_host, sight.config.server_url
    if ip_of(name.strip("[]")):
        yield problem(
            f"server_url has the address {name}, and there are no tickets for addresses",
            "Browsers fall back to NTLM, or ask for a password.",
            "give the balancer a name in DNS, and set server_url to it",
        )
        return
    for browser, policy in {
        "Chrome, Edge": f'policy AuthServerAllowlist = "{name}"',
        "Firefox": f'policy Authentication.SPNEGO = ["{url}"] (network.negotiate-auth.trusted-uris)',
        "Windows zones": f"{url} in the zone Local intranet (policy Site to Zone Assignment List: {url} = 1)",
        "delegation": "leave AuthNegotiateDelegateAllowlist and network.negotiate-auth.delegation-uris empty",
    }.items():
        yield ok(f"to set: {policy}", browser)
