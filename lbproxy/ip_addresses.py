"""Whether a host is an IP address."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

IpAddress = IPv4Address | IPv6Address


def ip_of(host: str) -> IpAddress | None:
    """The address that `host` is, without brackets; None for a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None
