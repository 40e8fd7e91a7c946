"""Which listener forwards to which pool, and which of its backends it can use.

A listener of mode tcp or sni passes connections through, to tcp:// backends; an http one speaks HTTP, with http:// and
https:// ones. A pool may have both: each listener uses those that fit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lbproxy.config.checks.look import Document, all_urls, backend_values, is_url, table
from lbproxy.config.keys import Location, full_name, subtables
from lbproxy.errors import Problem


@dataclass(frozen=True, slots=True)
class Route:
    """The key at `where`, of the listener `listener`, names `pool`; `passes`: connections are passed through."""

    where: Location
    listener: str
    pool: str
    passes: bool

    @property
    def schemes(self) -> tuple[str, ...]:
        """Of the backends that it can use."""
        return ("tcp",) if self.passes else ("http", "https")


def routes(document: Document) -> Iterator[Route]:
    """Every way from a listener to a pool, whether or not there is such a pool."""
    for name, listener in subtables(document, "listener"):
        passes = listener.get("mode") in ("tcp", "sni")
        named: list[tuple[Location, object]] = [(("listener", name, "pool"), listener.get("pool"))]
        named += [(("listener", name, "sni", key), pool) for key, pool in table(listener, "sni").items()]
        yield from (Route(where, name, pool, passes) for where, pool in named if isinstance(pool, str))


def problems(document: Document) -> Iterator[Problem]:
    """Pools that are missing, or have no backend that a listener could use."""
    pools = dict(subtables(document, "pool"))
    for route in routes(document):
        if route.pool not in pools:
            text = f"there is no [pool.{route.pool}]; the file has {', '.join(pools) or 'none'}"
            yield Problem(full_name(route.where), text)
        elif _fits_nobody(route, pools[route.pool]):
            how = "passes connections through" if route.passes else "speaks HTTP"
            needs = " or ".join(f"{scheme}://" for scheme in route.schemes)
            text = f"listener.{route.listener} {how}, and [pool.{route.pool}] has no {needs} backend for it"
            yield Problem(full_name(route.where), text)


def warnings(document: Document) -> Iterator[Problem]:
    """Backends that no listener of their pool can use. Pools without a listener are another matter."""
    schemes: dict[str, set[str]] = {}
    for route in routes(document):
        schemes.setdefault(route.pool, set()).update(route.schemes)
    for name, pool in subtables(document, "pool"):
        for where, url in backend_values(name, pool, "url"):
            if name in schemes and not is_url(url, *schemes[name]):
                mode = 'mode = "tcp" or "sni"' if is_url(url, "tcp") else 'mode = "http"'
                yield Problem(full_name(where), f"is not used: no listener with {mode} forwards to [pool.{name}]")


def _fits_nobody(route: Route, pool: Document) -> bool:
    """Whether the pool has backends, and none for the listener; a URL that is none is left to the models."""
    urls = [url for url in all_urls(route.pool, pool) or [] if is_url(url, "http", "https", "tcp")]
    return bool(urls) and not any(is_url(url, *route.schemes) for url in urls)
