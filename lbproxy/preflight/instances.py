"""The names of backends, which say what is one instance: those of one name are drained and updated as one."""

from __future__ import annotations

from urllib.parse import urlsplit

from lbproxy.config import Config
from lbproxy.config.keys import full_name
from lbproxy.preflight.report import Report
from lbproxy.wire.hosts import port_of


def inspect_instances(report: Report, config: Config) -> None:
    """Warn of one name at two hosts, and of one address that has another name in another pool."""
    hosts: dict[str, tuple[str, str]] = {}  # by name: the first pool that has it, and where it is there
    names: dict[tuple[str, int], tuple[str, str]] = {}  # by host and port: the first pool, and the name there
    for pool, options in config.pools.items():
        for position, backend in enumerate(options.backends):
            parts = urlsplit(backend.url)
            host, port = parts.hostname or "", port_of(parts)
            where = full_name(("pool", pool, "backends", position))
            first, other = hosts.setdefault(backend.name, (pool, host))
            if other != host:
                report.warning(
                    where,
                    f"{backend.name} is at {host} here and at {other} in pool {first}; drain and rollout take backends"
                    " of one name for one instance",
                )
            first, other = names.setdefault((host, port), (pool, backend.name))
            if other != backend.name and first != pool:
                text = f"{backend.url} is called {other} in pool {first}; drain and rollout cover both under one name"
                report.warning(where, text)
