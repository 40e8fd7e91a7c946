"""Which backends are probed at once because another balancer has ejected them. Its verdict is its own. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lbproxy.control.fleet.replica import Replica

PAUSE = 1.0
"""Seconds between two such probes of one backend, however many balancers eject it."""


class Evidence:
    """Remembers what each balancer had ejected when it was looked at last."""

    def __init__(self) -> None:
        self._ejected: dict[str, Mapping[str, int]] = {}  # by the replica
        self._probed: dict[str, float] = {}

    def __repr__(self) -> str:
        return f"<evidence of {len(self._ejected)} replicas>"

    def see(self, others: Mapping[str, Replica], now: float) -> Iterator[tuple[str, str]]:
        """What `others`, by their names, have ejected since the last look: POOL/BACKEND and the replica.

        now: in monotonic seconds. What one has ejected before it was seen first is no news.
        """
        before, self._ejected = self._ejected, {name: one.ejected for name, one in others.items()}
        self._probed = {key: at for key, at in self._probed.items() if now - at < PAUSE}
        for name, ejected in self._ejected.items():
            for key, count in ejected.items():
                news = name in before and before[name].get(key, -1) < count
                if news and key not in self._probed:
                    self._probed[key] = now
                    yield key, name
