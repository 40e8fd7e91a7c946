"""The keys of a listener against its mode and its kind of socket."""

from __future__ import annotations

from collections.abc import Iterator

from lbproxy.config.checks.look import Document, without_meaning
from lbproxy.config.keys import Location, full_name, subtables
from lbproxy.errors import Problem

_OF_HTTP = (
    "trust_forwarded_from",
    "hosts",
    "deny_paths",
    "strip_headers",
    "allow_underscores",
    "max_header_size",
    "max_target_size",
    "max_header_lines",
)
"""Keys about requests: a connection that is passed through has none that lbproxy could see."""

_BY_ADDRESS = ("accept_proxy_protocol_from", "trust_forwarded_from", "allow", "max_connections_per_address")
"""Keys about peers' addresses: those of a Unix socket have none."""


_ASKS_NOTHING: tuple[list[str], ...] = ([], ["0.0.0.0/0", "::/0"])
"""Lists that may well be there where there are no addresses, or no requests."""


def problems(document: Document) -> Iterator[Problem]:
    """Listeners without a pool, and keys that have no effect in their mode or at their socket."""
    for name, listener in subtables(document, "listener"):
        where: Location = ("listener", name)
        mode = listener.get("mode", "http")
        yield from _pools(where, listener, mode)
        asks = {key: value for key, value in listener.items() if value not in _ASKS_NOTHING}
        if str(listener.get("bind")).startswith("unix:"):
            yield from without_meaning(where, asks, _BY_ADDRESS, "with a unix: bind, whose peers have no address")
            yield from without_meaning(where, listener, ("freebind",), "with a unix: bind, which is no address")
        if mode in ("tcp", "sni"):
            yield from without_meaning(where, asks, _OF_HTTP, f'with mode = "{mode}"')
            text = f'with mode = "{mode}": TLS is passed through to the backends'
            yield from without_meaning(where, listener, ("tls",), text)


def _pools(where: Location, listener: Document, mode: object) -> Iterator[Problem]:
    """Mode sni has a table of pools, the others have one pool."""
    if mode == "sni":
        yield from without_meaning(where, listener, ("pool",), 'with mode = "sni", whose table sni names the pools')
        if not listener.get("sni"):
            yield Problem(full_name((*where, "sni")), 'missing; mode = "sni" needs a pool for each server name in it')
    else:
        yield from without_meaning(where, listener, ("sni",), 'without mode = "sni"')
        if "pool" not in listener:
            yield Problem(full_name((*where, "pool")), "missing")
