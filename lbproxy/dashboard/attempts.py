"""How often someone may try to sign in: failures are counted by address, and by name from wherever.

Numbers and names are bounded: whoever tries with many addresses makes the oldest ones forgotten, and is slowed down by
what a look at a password costs.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address

WITHIN = 600.0
"""Seconds for which a failure counts."""

OF_ADDRESS = 10
"""Failures of an address; of IPv6, those of a /64, which one host has for itself."""

OF_NAME = 30
"""Failures of a name, from all addresses."""

_KEPT = 5000


class Attempts:
    """Of all who try."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """clock: seconds."""
        self._clock = clock
        self._failures: OrderedDict[str, list[float]] = OrderedDict()

    def __repr__(self) -> str:
        return f"<failed attempts of {len(self._failures)}>"

    def wait(self, address: str, name: str = "") -> float:
        """Seconds until another attempt is looked at; 0: now."""
        keys = [(_network(address), OF_ADDRESS), *([(f"name {name}", OF_NAME)] if name else [])]
        return max(self._wait(key, most) for key, most in keys)

    def failed(self, address: str, name: str = "") -> None:
        """One has failed. name: one that there is, or empty."""
        for key in filter(None, (_network(address), f"name {name}" if name else "")):
            failures = self._failures.setdefault(key, [])
            failures.append(self._clock())
            del failures[: -max(OF_ADDRESS, OF_NAME)]
            self._failures.move_to_end(key)
        while len(self._failures) > _KEPT:
            self._failures.popitem(last=False)

    def _wait(self, key: str, most: int) -> float:
        now = self._clock()
        recent = [at for at in self._failures.get(key, ()) if at > now - WITHIN]
        return max(0.0, recent[-most] + WITHIN - now) if len(recent) >= most else 0.0


def _network(address: str) -> str:
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, IPv6Address):
        mapped = found.ipv4_mapped
        return str(mapped) if mapped else str(int(found) >> 64)
    return str(found)
