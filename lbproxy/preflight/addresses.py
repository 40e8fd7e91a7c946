"""Addresses to listen at: does this host have them?"""

from __future__ import annotations

from collections.abc import Collection

from lbproxy.control.host_addresses import present
from lbproxy.ip_addresses import IpAddress
from lbproxy.preflight.report import Report


def inspect_address(
    report: Report, where: str, address: IpAddress | None, virtual: Collection[IpAddress], freebind: bool
) -> None:
    """One that this host does not have is bound all the same, and nobody could connect: perhaps it is mistyped.

    A virtual address comes and goes. Without `freebind`, the bind itself fails.
    """
    if address is None or address.is_unspecified or address in virtual or not freebind:
        return
    try:
        here = present([address])
    except OSError:  # the kernel may not be asked; then there is nothing to say
        return
    if not here:
        report.warning(
            where,
            f"{address} is not an address of this host (yet); if it moves between hosts, name it in virtual_addresses",
        )
