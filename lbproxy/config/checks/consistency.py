"""The facts of a consistency guard: each has one source, and its backends have such a thing."""

from __future__ import annotations

from collections.abc import Iterator

from lbproxy.config.checks.look import Document, backend_values, is_url, table
from lbproxy.config.keys import Location, full_name, subtables
from lbproxy.errors import Problem

_PAGES = ("url", "path")
_PLACES = ("json", "regex", "header")
_THINGS = ("certificate", "metadata", "kvno", "registered")

_ONE_SOURCE = (
    "must have one source: url or path with json, regex or header; or certificate, metadata, kvno or registered = true"
)


def problems(document: Document) -> Iterator[Problem]:
    """A guard without facts, and facts that cannot be read."""
    for name, pool in subtables(document, "pool"):
        guard = table(pool, "consistency")
        where: Location = ("pool", name, "consistency", "facts")
        if "consistency" in pool and guard.get("policy") != "off" and not guard.get("facts"):
            yield Problem(full_name(where), "missing; without facts there is nothing to compare")
        for fact_name, fact in subtables(guard, "facts"):
            yield from _fact((*where, fact_name), fact, name, pool)


def _fact(where: Location, fact: Document, name: str, pool: Document) -> Iterator[Problem]:
    if not _has_one_source(fact):
        yield Problem(full_name(where), _ONE_SOURCE)
    elif fact.get("kvno") and table(pool, "check").get("kind") != "kerberos":
        yield Problem(full_name((*where, "kvno")), 'is seen by check.kind = "kerberos" only')
    elif fact.get("registered") and table(pool, "discover").get("kind") != "etcd":
        yield Problem(full_name((*where, "registered")), 'is known with discover.kind = "etcd" only')
    elif fact.get("certificate"):
        for _, url in backend_values(name, pool, "url"):
            if is_url(url, "http"):
                yield Problem(full_name((*where, "certificate")), f"{url} has none")
                return
    elif (fact.get("metadata") or "path" in fact) and _has_tcp(name, pool):
        yield Problem(full_name(where), "a tcp:// backend has no page of its own: give url, and json, regex or header")


def _has_tcp(name: str, pool: Document) -> bool:
    return any(is_url(url, "tcp") for _, url in backend_values(name, pool, "url"))


def _has_one_source(fact: Document) -> bool:
    pages, places = (sum(key in fact for key in keys) for keys in (_PAGES, _PLACES))
    things = sum(fact.get(key) is True for key in _THINGS)
    return (pages, places, things) in ((1, 1, 0), (0, 0, 1))
