"""The keys of a pool against each other and its backends."""

from __future__ import annotations

from collections.abc import Iterator

from lbproxy.config.checks.look import Document, backend_values, is_url, table, without_meaning
from lbproxy.config.keys import Location, full_name, subtables
from lbproxy.errors import Problem

_OF_HTTP = (
    "response_timeout",
    "idle_lane_timeout",
    "consecutive_errors",
    "retry_buffer",
    "retry_budget",
    "retry_statuses",
)
"""Keys about requests and kept lanes: a connection that is passed through has neither."""


def problems(document: Document) -> Iterator[Problem]:
    """Halves of a certificate and its key, and keys that backends of the kind do not need."""
    for name, pool in subtables(document, "pool"):
        where: Location = ("pool", name)
        if passes_through(name, pool):
            yield from without_meaning(where, pool, _OF_HTTP, "with tcp:// backends")
        yield from _own_certificate(where, table(pool, "tls"))


def passes_through(name: str, pool: Document) -> bool:
    """Whether the pool is one of tcp:// backends."""
    return any(is_url(url, "tcp") for _, url in backend_values(name, pool, "url"))


def _own_certificate(where: Location, tls: Document) -> Iterator[Problem]:
    for key, other in (("certificate", "key"), ("key", "certificate")):
        if other in tls and key not in tls:
            yield Problem(full_name((*where, "tls", key)), f"missing; {other} is of no use without it")
