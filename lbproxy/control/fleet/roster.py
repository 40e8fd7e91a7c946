"""The balancers of the fleet, as their keys say, and those whose lease has ended. Does no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from lbproxy.control.etcd import KeyValue
from lbproxy.control.fleet.replica import GONE, Replica

REMEMBERED = 86400.0
"""Seconds for which a balancer whose lease has ended is still shown."""


class Gone(NamedTuple):
    """A balancer whose lease has ended, without a word, at `at` (seconds since the epoch): as it was last."""

    replica: Replica
    at: float


class Roster:
    """`live` and `gone` are by the replica's name; `ignored` says by the key why a value is left alone."""

    def __init__(self) -> None:
        self.live: dict[str, Replica] = {}
        self.gone: dict[str, Gone] = {}
        self.ignored: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"<roster: {' '.join(self.live) or 'none'}; gone: {' '.join(self.gone) or 'none'}>"

    def see(self, values: Mapping[str, KeyValue], now: float) -> None:
        """The keys are so at `now` (seconds since the epoch). One that has said that it ends is not missed."""
        told: dict[str, Replica] = {}
        self.ignored = {}
        for key, found in values.items():
            try:
                told[key.rpartition("/")[2]] = Replica.decode(found.value)
            except ValueError as error:
                self.ignored[key] = str(error)
        missed = {name: Gone(one, now) for name, one in self.live.items() if name not in told}
        self.live = {name: one for name, one in told.items() if one.state != GONE}
        self.gone = {
            name: one for name, one in (self.gone | missed).items() if name not in told and now - one.at < REMEMBERED
        }
