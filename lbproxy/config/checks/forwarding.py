"""Which listener forwards to which pool, and whether the two go together.

A listener of mode tcp or sni passes connections through and an http one speaks HTTP to its backends, so their pools
are different ones: of tcp:// backends, and of http:// and https:// ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lbproxy.config.checks.look import Document, backend_values, is_url, table
from lbproxy.config.keys import Location, full_name, subtables
from lbproxy.errors import Problem


@dataclass(frozen=True, slots=True)
class Route:
    """The key at `where`, of the listener `listener`, names `pool`; `passes`: connections are passed through."""

    where: Location
    listener: str
    pool: str
    passes: bool


def routes(document: Document) -> Iterator[Route]:
    """Every way from a listener to a pool, whether or not there is such a pool."""
    for name, listener in subtables(document, "listener"):
        passes = listener.get("mode") in ("tcp", "sni")
        named: list[tuple[Location, object]] = [(("listener", name, "pool"), listener.get("pool"))]
        named += [(("listener", name, "sni", key), pool) for key, pool in table(listener, "sni").items()]
        yield from (Route(where, name, pool, passes) for where, pool in named if isinstance(pool, str))


def problems(document: Document) -> Iterator[Problem]:
    """Pools that are missing, used in two ways, or have backends of the wrong scheme."""
    pools = dict(subtables(document, "pool"))
    first: dict[str, Route] = {}
    for route in routes(document):
        if route.pool not in pools:
            text = f"there is no [pool.{route.pool}]; the file has {', '.join(pools) or 'none'}"
            yield Problem(full_name(route.where), text)
        elif route.passes is not first.setdefault(route.pool, route).passes:
            yield _two_ways(route, first[route.pool])
    for route in first.values():
        yield from _schemes(route, pools[route.pool])


def _two_ways(route: Route, other: Route) -> Problem:
    text = (
        f"[pool.{route.pool}] is that of listener.{other.listener} too, and only one of the two passes connections "
        f"through; the backends need a pool for each"
    )
    return Problem(full_name(route.where), text)


def _schemes(route: Route, pool: Document) -> Iterator[Problem]:
    wanted = ("tcp",) if route.passes else ("http", "https")
    how = "passes connections through and needs" if route.passes else "speaks HTTP and needs"
    for where, url in backend_values(route.pool, pool, "url"):
        if is_url(url, "http", "https", "tcp") and not is_url(url, *wanted):
            text = f"listener.{route.listener} {how} {' or '.join(f'{scheme}://' for scheme in wanted)} here"
            yield Problem(full_name(where), text)
