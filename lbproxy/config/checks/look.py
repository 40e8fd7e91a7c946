"""Reading a document that may hold any type anywhere: what is not as it should be is as if it were not there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from lbproxy.config.keys import Location, full_name
from lbproxy.errors import Problem

Document = Mapping[str, object]
"""The whole file, or a table of it, with its ${NAME} expanded."""

_NOTHING: Document = MappingProxyType({})


def table(document: Document, key: str) -> Document:
    """The table under `key`, empty if there is none."""
    inner = document.get(key)
    return inner if isinstance(inner, Mapping) else _NOTHING


def backend_values(name: str, pool: Document, key: str) -> Iterator[tuple[Location, str]]:
    """Where, and the value of `key` in each backend of the pool `name` that has it."""
    backends = pool.get("backends")
    for position, backend in enumerate(backends if isinstance(backends, list) else []):
        if isinstance(backend, Mapping) and isinstance(value := backend.get(key), str):
            yield ("pool", name, "backends", position, key), value


def all_urls(name: str, pool: Document) -> list[str] | None:
    """The URLs of the pool's backends, and of those to be discovered the beginning; None: they are not known."""
    urls = [url for _, url in backend_values(name, pool, "url")]
    if "discover" in pool:
        discover = table(pool, "discover")
        scheme = discover.get("scheme", "http")
        if discover.get("kind") not in ("dns", "kubernetes") or not isinstance(scheme, str):
            return None
        urls.append(f"{scheme}://")
    return urls


def is_url(value: str, *schemes: str) -> bool:
    """Whether `value` begins as a URL with one of `schemes` does; only scheme://host is compared, in any case."""
    return value.partition("://")[0].lower() in schemes


def mints(listener: Document) -> bool:
    """Whether users are asked for certificates at `listener`, and its backends are shown minted ones."""
    tls = table(listener, "tls")
    return tls.get("client_certificate", "none") != "none" and tls.get("client_identity") == "mint"


def without_meaning(where: Location, document: Document, keys: Iterable[str], text: str) -> Iterator[Problem]:
    """A problem for each of `keys` that the table `document`, which is at `where`, has."""
    for key in keys:
        if key in document:
            yield Problem(full_name((*where, key)), f"has no meaning {text}")
