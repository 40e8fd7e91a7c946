"""From the records of a DNS answer to members. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from ipaddress import ip_address
from typing import NamedTuple

from lbproxy.balance.member import MAX_WEIGHT, Member

Address = str
"""IPv4 or IPv6, as text."""


class Service(NamedTuple):
    """An SRV record (RFC 2782); `target` without the dot at its end, in lower case."""

    priority: int
    weight: int
    port: int
    target: str


def at_addresses(addresses: Iterable[Address], scheme: str, port: int) -> tuple[Member, ...]:
    """A member at each address, which is its name; IPv4 first, each kind in order."""
    return tuple(Member(address, _url(scheme, address, port)) for address in in_order(addresses))


def at_services(
    services: Iterable[Service], address_of: Callable[[str], Address | None], scheme: str
) -> tuple[tuple[Member, ...], tuple[str, ...]]:
    """A member for each target and port, and sentences about those that can be none.

    Those of the lowest priority get the work, all others are standbys. address_of: of a target, None if it has none.
    """
    members: dict[str, Member] = {}
    left_out: list[str] = []
    usable = sorted(service for service in services if service.target)  # "." is no service at all
    lowest = usable[0].priority if usable else 0
    for group in _by_priority(usable):
        for service, weight in zip(group, scaled([service.weight for service in group]), strict=True):
            name = f"{service.target}:{service.port}"
            address = address_of(service.target)
            if not service.port:
                left_out.append(f"{name}: an SRV record without a port")
            elif address is None:
                left_out.append(f"{name}: {service.target} has no address")
            else:
                url = _url(scheme, address, service.port)
                members.setdefault(name, Member(name, url, weight, service.priority > lowest))
    return tuple(members[name] for name in sorted(members)), tuple(left_out)


def scaled(weights: Sequence[int]) -> list[int]:
    """SRV weights (0 to 65535) as those of members (0 to 100), in the same proportions as far as whole numbers can be.

    They stay as they are where they fit. All 0 is the same for all. A 0 beside others is "a very small chance"
    (RFC 2782), and for members never, so it becomes 1 where the largest is 100.
    """
    largest = max(weights, default=0)
    if not largest:
        return [1] * len(weights)
    if largest <= MAX_WEIGHT and all(weights):
        return list(weights)
    return [max(1, round(weight * MAX_WEIGHT / largest)) for weight in weights]


def in_order(addresses: Iterable[Address]) -> list[Address]:
    """Each once: IPv4 before IPv6, and the lower one first."""
    found = {ip_address(address) for address in addresses}
    return [str(address) for address in sorted(found, key=lambda one: (one.version, int(one)))]


def _by_priority(services: Sequence[Service]) -> list[list[Service]]:
    groups: dict[int, list[Service]] = {}
    for service in services:
        groups.setdefault(service.priority, []).append(service)
    return list(groups.values())


def _url(scheme: str, address: Address, port: int) -> str:
    return f"{scheme}://[{address}]:{port}" if ":" in address else f"{scheme}://{address}:{port}"
