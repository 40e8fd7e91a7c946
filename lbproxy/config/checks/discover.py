"""The keys of a discovery against its kind, backends that are to be expanded, and that a pool has some source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from lbproxy.config.checks.look import Document, backend_values, is_url, table, without_meaning
from lbproxy.config.keys import Location, full_name, subtables
from lbproxy.errors import Problem
from lbproxy.ip_addresses import ip_of

_OF_ALL = ("kind", "interval", "on_empty", "empty_after")

_OF_KIND: Mapping[str, tuple[str, ...]] = {
    "dns": ("scheme", "name", "record", "port", "nameservers"),
    "file": ("path",),
    "etcd": (),
    "kubernetes": ("scheme", "namespace", "service", "port", "kubeconfig"),
}
"""Kind -> the keys that only some kinds have."""

_NEEDED = {"dns": ("name",), "file": ("path",), "etcd": (), "kubernetes": ("service",)}

_NO_NAME = "has no name to verify: its backends are at addresses, so their certificates must have those"


def problems(document: Document) -> Iterator[Problem]:
    """Pools without any source, keys of another kind, keys that are missing, and names that cannot be expanded."""
    for name, pool in subtables(document, "pool"):
        if not pool.get("backends") and "discover" not in pool:
            yield _nobody(name, pool)
        discover = pool.get("discover")
        if isinstance(discover, Mapping):
            where: Location = ("pool", name, "discover")
            yield from _of_kind(where, discover)
            if discover.get("kind") == "etcd" and "fleet" not in document:
                yield Problem(full_name((*where, "kind")), 'kind = "etcd" needs the table [fleet]')
        yield from _expanded(name, pool)


def warnings(document: Document) -> Iterator[Problem]:
    """Discovered https backends, which have no name, without a name that their certificates must have."""
    for name, pool in subtables(document, "pool"):
        tls = table(pool, "tls")
        if "server_name" in tls or tls.get("verify") is False:
            continue
        if table(pool, "discover").get("scheme") == "https":
            yield Problem(full_name(("pool", name, "discover", "scheme")), f"without tls.server_name, https {_NO_NAME}")
        for position, url in _to_expand(name, pool):
            if is_url(url, "https"):
                where = full_name(("pool", name, "backends", position, "expand"))
                yield Problem(where, f"without tls.server_name, {url} {_NO_NAME}")


def _nobody(name: str, pool: Document) -> Problem:
    text = "needs at least one entry" if "backends" in pool else "missing"
    return Problem(full_name(("pool", name, "backends")), text)


def _of_kind(where: Location, discover: Document) -> Iterator[Problem]:
    kind = discover.get("kind")
    if not isinstance(kind, str) or kind not in _OF_KIND:
        return
    others = {key for keys in _OF_KIND.values() for key in keys} - {*_OF_KIND[kind]}
    yield from without_meaning(where, discover, sorted(others), f'with kind = "{kind}"')
    needed = list(_NEEDED[kind])
    if kind == "dns" and discover.get("record") == "srv":
        yield from without_meaning(where, discover, ("port",), 'with record = "srv", which has the ports')
    elif kind == "dns":
        needed.append("port")
        if isinstance(discover.get("port"), str):
            yield Problem(full_name((*where, "port")), f'must be a whole number with kind = "{kind}"')
    for key in needed:
        if key not in discover:
            yield Problem(full_name((*where, key)), f'missing; kind = "{kind}" needs it')


def _expanded(name: str, pool: Document) -> Iterator[Problem]:
    for position, url in _to_expand(name, pool):
        where: Location = ("pool", name, "backends", position)
        if ip_of(urlsplit(url).hostname or ""):
            yield Problem(full_name((*where, "expand")), f"{url} has an address already; only a name is expanded")
        backends = pool["backends"]
        if isinstance(backends, list) and "check_url" in backends[position]:
            text = "has no meaning with expand; check.url may have {host} for each address"
            yield Problem(full_name((*where, "check_url")), text)


def _to_expand(name: str, pool: Document) -> Iterator[tuple[int, str]]:
    """The position and URL of each backend with `expand`."""
    backends = pool.get("backends")
    for where, url in backend_values(name, pool, "url"):
        position = where[3]
        assert isinstance(backends, list)
        assert isinstance(position, int)
        if backends[position].get("expand") is True:
            yield position, url
