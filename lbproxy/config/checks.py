"""What only two keys together can get wrong.

The rules look at the document, not at the models, so that they speak up even when a third key is wrong too. A value of
the wrong type is passed over here: the models have a problem for it already.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lbproxy.config.keys import Location, full_name, subtables
from lbproxy.errors import Problem

Document = Mapping[str, object]

_HTTP_CHECK_KEYS = ("url", "method", "path", "expect")


def problems(document: Document) -> Iterator[Problem]:
    """Every contradiction in `document`, which is the whole file with its ${NAME} expanded."""
    yield from _empty_sections(document)
    yield from _pools_of_listeners(document)
    yield from _duplicates(_binds(document))
    for name, pool in subtables(document, "pool"):
        for key in ("name", "url"):
            yield from _duplicates(_backend_values(name, pool, key))
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
            yield Problem(where, f'there is no [pool.{pool}]; the file has {", ".join(pools) or "none"}')


def _binds(document: Document) -> Iterator[tuple[Location, object]]:
    for name, listener in subtables(document, "listener"):
        yield ("listener", name, "bind"), listener.get("bind")
    admin = document.get("admin")
    if isinstance(admin, Mapping):
        yield ("admin", "bind"), admin.get("bind")


def _backend_values(name: str, pool: Document, key: str) -> Iterator[tuple[Location, object]]:
    for position, backend in enumerate(_list(pool.get("backends"))):
        if isinstance(backend, Mapping):
            yield ("pool", name, "backends", position, key), backend.get(key)


def _duplicates(values: Iterator[tuple[Location, object]]) -> Iterator[Problem]:
    """A problem for each string that an earlier location has already; port 0 is another port each time."""
    first: dict[str, Location] = {}
    for location, value in values:
        if not isinstance(value, str) or value.endswith(":0"):
            continue
        if value in first:
            yield Problem(full_name(location), f"{value!r} is taken by {full_name(first[value])}")
        first.setdefault(value, location)


def _check_keys(name: str, pool: Document) -> Iterator[Problem]:
    check = pool.get("check")
    if not isinstance(check, Mapping):
        return
    where: Location = ("pool", name, "check")
    if check.get("kind") in ("none", "tcp"):
        for key in (key for key in _HTTP_CHECK_KEYS if key in check):
            yield Problem(full_name((*where, key)), 'has a meaning only with kind = "http"')
    elif "url" in check and "path" in check:
        yield Problem(full_name((*where, "path")), "has no meaning beside url, which holds the path")


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
