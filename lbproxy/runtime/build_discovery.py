"""From a pool's configuration to the sources of its members beside the file."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from lbproxy import config as settings
from lbproxy.balance.belief import Rules
from lbproxy.balance.member import Member
from lbproxy.balance.pool import Pool
from lbproxy.control.discovery.discovery import Discovery
from lbproxy.control.discovery.source import Source

if TYPE_CHECKING:
    from lbproxy.control.etcd import Etcd

EXPAND_EVERY = 30.0
"""Seconds between two look-ups of a name that is expanded, as of every other backend's."""


class Registry(NamedTuple):
    """Where connectors register themselves. `left` counts what a pool has left on members that have gone: see
    `acknowledger.Count`. Without it nothing is acknowledged.
    """

    etcd: Etcd
    fleet: settings.Fleet
    left: Callable[[str], Awaitable[Mapping[str, int] | None]] | None = None


def make_discoveries(pool: Pool, options: settings.Pool, registry: Registry | None = None) -> list[Discovery]:
    """The discoveries of `pool`, which are to be started; none if its backends are all in the file.

    registry: that of [fleet], for `kind = "etcd"`. The modules of a kind are loaded where a pool has that kind.

    Raises MissingExtraError if they need what is not installed.
    """
    found: list[Discovery] = []
    for source, discover in make_sources(pool.name, options, registry):
        every, rules = EXPAND_EVERY, Rules()
        if discover is not None:
            every, rules = discover.interval, Rules(discover.on_empty, discover.empty_after)
        found.append(Discovery(pool.name, source, pool.apply, every, rules))
    return found


def make_sources(
    pool: str, options: settings.Pool, registry: Registry | None = None
) -> Iterator[tuple[Source, settings.Discover | None]]:
    """The sources alone, each with the table that it comes from; None: it is an expanded backend. See above."""
    for source in _expanded(options):
        yield source, None
    if options.discover is not None:
        yield _source(pool, options.discover, registry), options.discover


def _expanded(options: settings.Pool) -> Iterator[Source]:
    entries = [entry for entry in options.backends if entry.expand]
    if entries:
        from lbproxy.control.discovery.expand import ExpandSource

        for entry in entries:
            yield ExpandSource(Member(entry.name, entry.url, entry.weight, entry.standby))


def _source(pool: str, discover: settings.Discover, registry: Registry | None) -> Source:
    match discover.kind:
        case "file":
            return _file(discover)
        case "dns":
            return _dns(discover)
        case "etcd":
            assert registry is not None, "checked"
            return _etcd(pool, registry)
        case "kubernetes":
            return _kubernetes(discover)


def _file(discover: settings.Discover) -> Source:
    from lbproxy.control.discovery.file_source import FileSource

    assert discover.path is not None, "checked"
    return FileSource(discover.path)


def _dns(discover: settings.Discover) -> Source:
    from lbproxy.control.discovery.dns_source import AddressSource, ServiceSource

    assert discover.name is not None, "checked"
    servers = [(server.host, server.port) for server in discover.nameservers]
    if discover.record == "srv":
        return ServiceSource(discover.name, discover.scheme, servers)
    assert isinstance(discover.port, int), "checked"
    return AddressSource(discover.name, discover.scheme, discover.port, servers)


def _etcd(pool: str, registry: Registry) -> Source:
    from lbproxy.control.discovery import registry as keys
    from lbproxy.control.discovery.acknowledger import Acknowledger
    from lbproxy.control.discovery.etcd_source import EtcdSource

    etcd, fleet, left = registry
    connectors = keys.connectors(fleet.name, pool)
    if left is None:
        return EtcdSource(etcd, connectors)
    balancer = f"{keys.balancers(fleet.name, pool)}{fleet.replica_name}.{os.getpid()}"
    return EtcdSource(etcd, connectors, lambda: Acknowledger(etcd, balancer, fleet.lease, partial(left, pool)))


def _kubernetes(discover: settings.Discover) -> Source:
    from lbproxy.control.discovery.kubernetes_source import KubernetesSource
    from lbproxy.control.kubernetes import Account, PodAccount

    assert discover.service is not None, "checked"
    account: Account = PodAccount()
    if discover.kubeconfig is not None:
        from lbproxy.control.kubernetes.kubeconfig import Kubeconfig

        account = Kubeconfig(discover.kubeconfig)
    return KubernetesSource(account, discover.service, discover.scheme, discover.port, discover.namespace or "")
