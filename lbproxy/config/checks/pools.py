"""The keys of a pool against each other and its backends."""

from __future__ import annotations

from collections.abc import Iterator

from lbproxy.config.checks.look import Document, all_urls, is_url, table, without_meaning
from lbproxy.config.keys import Location, full_name, subtables
from lbproxy.errors import Problem

_OF_HTTP = (
    "bare_lf",
    "response_timeout",
    "idle_lane_timeout",
    "consecutive_errors",
    "retry_buffer",
    "retry_budget",
    "retry_statuses",
)
"""Keys about requests and kept lanes: a connection that is passed through has neither."""


def problems(document: Document) -> Iterator[Problem]:
    """Halves of a certificate and its key."""
    for name, pool in subtables(document, "pool"):
        yield from _own_certificate(("pool", name), table(pool, "tls"))


def warnings(document: Document) -> Iterator[Problem]:
    """Keys about requests in a pool that gets none."""
    for name, pool in subtables(document, "pool"):
        schemes = {is_url(url, "tcp") for url in all_urls(name, pool) or ()}
        if schemes == {True}:
            yield from without_meaning(("pool", name), pool, _OF_HTTP, "with tcp:// backends only")


def _own_certificate(where: Location, tls: Document) -> Iterator[Problem]:
    for key, other in (("certificate", "key"), ("key", "certificate")):
        if other in tls and key not in tls:
            yield Problem(full_name((*where, "tls", key)), f"missing; {other} is of no use without it")
