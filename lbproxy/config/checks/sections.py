"""There is something to listen on and something to forward to, and nothing has the name or address of another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lbproxy.config.checks.look import Document, backend_values, table
from lbproxy.config.keys import Location, full_name, subtables
from lbproxy.errors import Problem


def problems(document: Document) -> Iterator[Problem]:
    """Missing sections, a group without a user, twins among binds, server names, and a pool's names and URLs."""
    if "group" in document and "user" not in document:
        yield Problem("group", "has no meaning without user")
    access_log = table(document, "access_log")
    if "path" in access_log and access_log.get("to"):
        yield Problem("access_log.path", "has no meaning beside access_log.to")
    for section in ("listener", "pool"):
        if not document.get(section, {}):
            yield Problem(section, f"missing; at least one [{section}.NAME] is needed")
    yield from _twins(_binds(document))
    for name, listener in subtables(document, "listener"):
        yield from _twins((("listener", name, "sni", key), key.lower()) for key in table(listener, "sni"))
    for name, pool in subtables(document, "pool"):
        yield from _twins(backend_values(name, pool, "name"))
        yield from _twins((where, url.lower().removesuffix("/")) for where, url in backend_values(name, pool, "url"))


def _binds(document: Document) -> Iterator[tuple[Location, str]]:
    admin = table(document, "admin")
    places: list[tuple[Location, object]] = [
        (("listener", name, "bind"), listener.get("bind")) for name, listener in subtables(document, "listener")
    ]
    places += [(("admin", key), admin.get(key)) for key in ("bind", "health", "metrics")]
    places.append((("admin", "web", "bind"), table(admin, "web").get("bind")))
    for where, bind in places:
        # Port 0 is another port each time.
        if isinstance(bind, str) and not bind.endswith(":0"):
            yield where, bind


def _twins(values: Iterable[tuple[Location, str]]) -> Iterator[Problem]:
    """A problem for each value that an earlier location has already."""
    first: dict[str, Location] = {}
    for location, value in values:
        if value in first:
            yield Problem(full_name(location), f"{value!r} is taken by {full_name(first[value])}")
        first.setdefault(value, location)
