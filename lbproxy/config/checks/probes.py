"""The keys of a check against its kind, and whether its backends can be probed in that way."""

from __future__ import annotations

from collections.abc import Iterator

from lbproxy.config.checks.look import Document, all_urls, backend_values, is_url, mints, table, without_meaning
from lbproxy.config.keys import Location, full_name, subtables
from lbproxy.errors import Problem

_OF_REQUESTS = ("url", "method", "path", "expect")

_MEANINGLESS = {
    "none": (*_OF_REQUESTS, "kerberos"),
    "tcp": (*_OF_REQUESTS, "kerberos"),
    "tls": (*_OF_REQUESTS, "kerberos"),
    "http": ("kerberos",),
    "kerberos": ("method",),
}
"""Kind of check -> keys that it does not look at."""

_ASKED_FOR_PAGES = ("http", "kerberos")


def problems(document: Document) -> Iterator[Problem]:
    """A kerberos check that cannot sign in, or that nothing would satisfy."""
    for name, pool in subtables(document, "pool"):
        check = table(pool, "check")
        where: Location = ("pool", name, "check")
        if check.get("kind") != "kerberos":
            continue
        if "kerberos" not in check:
            text = 'missing; kind = "kerberos" needs principal, keytab and spn in it'
            yield Problem(full_name((*where, "kerberos")), text)
        if check.get("expect") == [401]:
            text = "needs another status: 401 is how a ticket is refused"
            yield Problem(full_name((*where, "expect")), text)


def warnings(document: Document) -> Iterator[Problem]:
    """Keys that the kind does not look at, and a kind in which no backend can be probed."""
    minted_for = {listener.get("pool") for _, listener in subtables(document, "listener") if mints(listener)}
    for name, pool in subtables(document, "pool"):
        check = table(pool, "check")
        if name not in minted_for:
            text = "without a listener that mints certificates for this pool"
            yield from without_meaning(("pool", name, "check"), check, ("identity",), text)
        kind = check.get("kind", "http")
        if isinstance(kind, str) and kind in _MEANINGLESS:
            yield from _useless(name, pool, check, kind)
            yield from _unsuited(name, pool, check, kind)


def _useless(name: str, pool: Document, check: Document, kind: str) -> Iterator[Problem]:
    where: Location = ("pool", name, "check")
    yield from without_meaning(where, check, _MEANINGLESS[kind], f'with kind = "{kind}"')
    if kind not in _ASKED_FOR_PAGES:
        for location, _ in backend_values(name, pool, "check_url"):
            yield Problem(full_name(location), f'has no meaning with kind = "{kind}"')
    elif "url" in check:
        yield from without_meaning(where, check, ("path",), "beside url, which holds the path")
    expect = check.get("expect")
    if kind == "kerberos" and isinstance(expect, list) and 401 in expect:
        yield Problem(full_name((*where, "expect")), "401 is how a ticket is refused; it is no success here")


def _unsuited(name: str, pool: Document, check: Document, kind: str) -> Iterator[Problem]:
    """A kind that finds a page, or TLS, at none of the backends: see `Pool.probe_kind`."""
    without = {"http": "tcp", "kerberos": "tcp", "tls": "http"}.get(kind)
    urls = all_urls(name, pool)
    pages = kind in _ASKED_FOR_PAGES and ("url" in check or any(backend_values(name, pool, "check_url")))
    if without and urls and not pages and all(is_url(url, without) for url in urls):
        text = f"with {without}:// backends only: they are probed by whether they accept a connection"
        yield from without_meaning(("pool", name, "check"), check, ("kind", "method", "path", "expect"), text)
