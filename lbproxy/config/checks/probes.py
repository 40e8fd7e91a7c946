"""The keys of a check against its kind, and whether its backends can be probed in that way."""

from __future__ import annotations

from collections.abc import Iterator

from lbproxy.config.checks.look import Document, backend_values, is_url, table, without_meaning
from lbproxy.config.checks.pools import passes_through
from lbproxy.config.keys import Location, full_name, subtables
from lbproxy.errors import Problem

_OF_REQUESTS = ("url", "method", "path", "expect")

_MEANINGLESS = {
    "none": _OF_REQUESTS,
    "tcp": _OF_REQUESTS,
    "tls": _OF_REQUESTS,
    "kerberos": ("method",),
}
"""Kind of check -> keys that it does not look at."""


def problems(document: Document) -> Iterator[Problem]:
    """Keys without a meaning, tables that are missing, and backends that a kind of check cannot probe."""
    for name, pool in subtables(document, "pool"):
        check = table(pool, "check")
        kind = check.get("kind", "http")
        yield from _useless(name, pool, check, kind)
        yield from _kerberos(("pool", name, "check"), check, kind)
        if kind == "tls":
            yield from _tls(name, pool)
        elif kind in ("http", "kerberos") and passes_through(name, pool):
            yield from _pages(name, pool, check, kind)


def _useless(name: str, pool: Document, check: Document, kind: object) -> Iterator[Problem]:
    where: Location = ("pool", name, "check")
    useless = _MEANINGLESS.get(kind, ()) if isinstance(kind, str) else ()
    yield from without_meaning(where, check, useless, f'with kind = "{kind}"')
    if "url" in useless:
        for location, _ in backend_values(name, pool, "check_url"):
            yield Problem(full_name(location), f'has no meaning with kind = "{kind}"')
    elif "url" in check:
        yield from without_meaning(where, check, ("path",), "beside url, which holds the path")


def _kerberos(where: Location, check: Document, kind: object) -> Iterator[Problem]:
    table_key = (*where, "kerberos")
    if kind == "kerberos" and "kerberos" not in check:
        yield Problem(full_name(table_key), 'missing; kind = "kerberos" needs principal, keytab and spn in it')
    if kind != "kerberos" and "kerberos" in check:
        yield Problem(full_name(table_key), 'has a meaning only with kind = "kerberos"')
    expect = check.get("expect")
    if kind == "kerberos" and isinstance(expect, list) and 401 in expect:
        yield Problem(full_name((*where, "expect")), "401 is how a ticket is refused; it is no success here")


def _tls(name: str, pool: Document) -> Iterator[Problem]:
    for location, url in backend_values(name, pool, "url"):
        if is_url(url, "http"):
            yield Problem(full_name(location), 'check.kind = "tls" finds no TLS at an http:// backend')


def _pages(name: str, pool: Document, check: Document, kind: object) -> Iterator[Problem]:
    """The URL of a tcp:// backend does not say how to ask it for a page."""
    urls = [value for _, value in backend_values(name, pool, "url") if is_url(value, "tcp")]
    own = list(backend_values(name, pool, "check_url"))
    if "url" not in check and len(own) < len(urls):
        text = f'missing; kind = "{kind}" cannot ask tcp:// backends otherwise (or use kind = "tls" or "tcp")'
        yield Problem(full_name(("pool", name, "check", "url")), text)
