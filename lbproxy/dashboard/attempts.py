"""How often someone may try to sign in: failures are counted by address, and by name from wherever.

An attempt that is under way counts as failed until it has ended, so that many at once are no way around the limits.
Numbers are bounded: whoever tries with many addresses makes the oldest ones forgotten, and is slowed down by what a
look at a password costs.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv6Address
from typing import TypeVar

from lbproxy.ip_addresses import ip_of

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")

WITHIN = 600.0
"""Seconds for which a failure counts."""

OF_ADDRESS = 10
"""Failures of an address; of IPv6, those of a /64, which one host has for itself."""

OF_NAME = 30
"""Failures of a name, from all addresses but those that have signed in under it."""

_ADDRESSES = 5000

_NAMES = 12_000
"""As many as can be tried within `WITHIN`, at 20 passwords a second: none is forgotten before."""

_SOON = 1.0
"""Seconds to wait for attempts that are under way."""


class Attempts:
    """Of all who try. A name is counted whether there is such a user or not: a limit tells nothing about that."""

    def __init__(self, clock: Callable[[], float], of_address: int = OF_ADDRESS, of_name: int = OF_NAME) -> None:
        """clock: seconds. of_address, of_name: failures after which one waits."""
        self._clock = clock
        self._addresses = _Failures(clock, of_address, _ADDRESSES)
        self._names = _Failures(clock, of_name, _NAMES)
        self._welcome: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._told: OrderedDict[tuple[str, str], float] = OrderedDict()

    def __repr__(self) -> str:
        return f"<failed attempts of {len(self._addresses)} addresses and {len(self._names)} names>"

    def wait(self, address: str, name: str = "") -> float:
        """Seconds until another attempt is looked at; 0: now."""
        network = _network(address)
        counts_name = name and (network, name) not in self._welcome
        return max(self._addresses.wait(network), self._names.wait(name) if counts_name else 0.0)

    @contextmanager
    def under_way(self, address: str, name: str = "") -> Iterator[None]:
        """While in it, one more is tried."""
        network = _network(address)
        with self._addresses.under_way(network), self._names.under_way(name):
            yield

    def failed(self, address: str, name: str = "") -> None:
        """One has failed. name: as it was typed, if it can be one."""
        self._addresses.failed(_network(address))
        if name:
            self._names.failed(name)

    def succeeded(self, address: str, name: str) -> None:
        """From this address, the failures of others count no more for this name: they cannot lock its user out."""
        _keep(self._welcome, (_network(address), name), None)

    def is_news(self, address: str, name: str = "") -> bool:
        """Whether nobody was told yet that this one has to wait, which many requests a second may ask."""
        key = _network(address), name
        if self._told.get(key, 0.0) > self._clock():
            return False
        _keep(self._told, key, self._clock() + max(self.wait(address, name), _SOON))
        return True


class _Failures:
    """By one kind of key, of which the `kept` latest are known."""

    def __init__(self, clock: Callable[[], float], most: int, kept: int) -> None:
        self._clock = clock
        self._most = most
        self._kept = kept
        self._at: OrderedDict[str, list[float]] = OrderedDict()
        self._under_way: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._at)

    def wait(self, key: str) -> float:
        now = self._clock()
        recent = [at for at in self._at.get(key, ()) if at > now - WITHIN]
        if len(recent) >= self._most:
            return max(0.0, recent[-self._most] + WITHIN - now)
        return _SOON if len(recent) + self._under_way.get(key, 0) >= self._most else 0.0

    @contextmanager
    def under_way(self, key: str) -> Iterator[None]:
        self._under_way[key] += 1
        try:
            yield
        finally:
            self._under_way[key] -= 1
            if not self._under_way[key]:
                del self._under_way[key]

    def failed(self, key: str) -> None:
        failures = self._at.get(key, [])
        failures.append(self._clock())
        del failures[: -self._most]
        _keep(self._at, key, failures, self._kept)


def _keep(kept: OrderedDict[_Key, _Value], key: _Key, value: _Value, most: int = _ADDRESSES) -> None:
    kept[key] = value
    kept.move_to_end(key)
    while len(kept) > most:
        kept.popitem(last=False)


def _network(address: str) -> str:
    found = ip_of(address.partition("%")[0])
    if found is None:
        return address
    if isinstance(found, IPv6Address):
        mapped = found.ipv4_mapped
        return str(mapped) if mapped else str(int(found) >> 64)
    return str(found)
