"""What only two keys together can get wrong.

The rules look at the document, not at the models, so that they speak up even when a third key is wrong too. A value of
the wrong type is passed over here: the models have a problem for it already.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lbproxy.config.keys import Location, full_name, subtables
from lbproxy.errors import Problem

Document = Mapping[str, object]

_MEANINGLESS = {
    "none": ("url", "method", "path", "expect"),
    "tcp": ("url", "method", "path", "expect"),
    "kerberos": ("method",),
}
"""Kind of check -> keys that it does not look at."""


def problems(document: Document) -> Iterator[Problem]:
    """Every contradiction in `document`, which is the whole file with its ${NAME} expanded."""
    yield from _empty_sections(document)
    yield from _pools_of_listeners(document)
    yield from _duplicates(_binds(document))
    for name, pool in subtables(document, "pool"):
        yield from _duplicates(_backend_values(name, pool, "name"))
        yield from _duplicates(
            (location, value.lower().removesuffix("/")) for location, value in _backend_values(name, pool, "url")
        )
        yield from _check_keys(name, pool)


def _empty_sections(document: Document) -> Iterator[Problem]:
    for section in ("listener", "pool"):
        if not document.get(section, {}):
            yield Problem(section, f"missing; at least one [{section}.NAME] is needed")


def _pools_of_listeners(document: Document) -> Iterator[Problem]:
    pools = [name for name, _ in subtables(document, "pool")]
    for name, listener in subtables(document, "listener"):
        where, pool = full_name(("listener", name, "pool")), listener.get("pool")
        if pool is None and listener.get("mode") != "sni":
            yield Problem(where, "missing")
        elif isinstance(pool, str) and pool not in pools:
            yield Problem(where, f"there is no [pool.{pool}]; the file has {', '.join(pools) or 'none'}")


def _binds(document: Document) -> Iterator[tuple[Location, str]]:
    for name, listener in subtables(document, "listener"):
        if isinstance(bind := listener.get("bind"), str):
            yield ("listener", name, "bind"), bind
    admin = document.get("admin")
    if isinstance(admin, Mapping) and isinstance(bind := admin.get("bind"), str):
        yield ("admin", "bind"), bind


def _backend_values(name: str, pool: Document, key: str) -> Iterator[tuple[Location, str]]:
    """The value of `key` in each backend of the pool `name` that has it."""
    backends = pool.get("backends")
    for position, backend in enumerate(backends if isinstance(backends, list) else []):
        if isinstance(backend, Mapping) and isinstance(value := backend.get(key), str):
            yield ("pool", name, "backends", position, key), value


def _duplicates(values: Iterator[tuple[Location, str]]) -> Iterator[Problem]:
    """A problem for each value that an earlier location has already; port 0 is another port each time."""
    first: dict[str, Location] = {}
    for location, value in values:
        if value in first and not value.endswith(":0"):
            yield Problem(full_name(location), f"{value!r} is taken by {full_name(first[value])}")
        first.setdefault(value, location)


def _check_keys(name: str, pool: Document) -> Iterator[Problem]:
    check = pool.get("check")
    if not isinstance(check, Mapping):
        return
    where: Location = ("pool", name, "check")
    kind = check.get("kind", "http")
    useless = [(*where, key) for key in _MEANINGLESS.get(str(kind), ()) if key in check]
    if kind in ("none", "tcp"):
        useless += [location for location, _ in _backend_values(name, pool, "check_url")]
    for location in useless:
        yield Problem(full_name(location), f'has no meaning with kind = "{kind}"')
    if not useless and "url" in check and "path" in check:
        yield Problem(full_name((*where, "path")), "has no meaning beside url, which holds the path")
    yield from _kerberos(where, check, kind)


def _kerberos(where: Location, check: Document, kind: object) -> Iterator[Problem]:
    table = (*where, "kerberos")
    if kind == "kerberos" and "kerberos" not in check:
        yield Problem(full_name(table), 'missing; kind = "kerberos" needs principal, keytab and spn in it')
    if kind != "kerberos" and "kerberos" in check:
        yield Problem(full_name(table), 'has a meaning only with kind = "kerberos"')
    expect = check.get("expect")
    if kind == "kerberos" and isinstance(expect, list) and 401 in expect:
        yield Problem(full_name((*where, "expect")), "401 is how a ticket is refused; it is no success here")
