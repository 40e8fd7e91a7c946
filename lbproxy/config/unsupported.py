"""ONE table: what the file format knows and this version does not do yet.

It is refused, never ignored: a balancer that dropped `client_certificate = "required"` would let everybody in.
The change that builds a feature deletes its row here (and adds its key to the models where there is none yet).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from lbproxy.config.keys import Location, full_name, walk
from lbproxy.errors import Problem

TEXT = "not supported yet"

_Refuses = Callable[[object], bool]


def _any(_: object) -> bool:
    return True


def _other_than(*neutral: object) -> _Refuses:
    return lambda value: value not in neutral


def _tcp_url(value: object) -> bool:
    return isinstance(value, str) and value.startswith("tcp://")


TABLE: tuple[tuple[Location, _Refuses], ...] = (
    (("workers",), _other_than(1)),
    (("listener", "*", "mode"), _other_than("http")),
    (("listener", "*", "sni"), _any),
    (("listener", "*", "accept_proxy_protocol_from"), _other_than([])),
    (("listener", "*", "tls", "client_certificate"), _other_than("none")),
    (("listener", "*", "tls", "client_identity"), _other_than("none")),
    (("listener", "*", "tls", "client_ca"), _any),
    (("listener", "*", "tls", "client_crl"), _any),
    (("listener", "*", "tls", "mint"), _any),
    (("pool", "*", "backends", "*", "url"), _tcp_url),
    (("pool", "*", "send_proxy_protocol"), _other_than("none")),
    (("pool", "*", "slow_start"), _other_than("0ms", "0s", "0m", "0h", "0d")),
    (("pool", "*", "retry_statuses"), _other_than([])),
    (("pool", "*", "check", "kind"), _other_than("none", "tcp", "http", "kerberos")),
)
"""(key, whether a value of it is refused); "*" stands for any name or position."""


def knows(location: Location) -> bool:
    """Whether `location` is a key of the table."""
    return any(_matches(pattern, location) for pattern, _ in TABLE)


def refusals(document: Mapping[str, object]) -> Iterator[Problem]:
    """A problem for each key of `document` that asks for something in the table."""
    for location, value in walk(document):
        if any(_matches(pattern, location) and refuses(value) for pattern, refuses in TABLE):
            yield Problem(full_name(location), TEXT)


def _matches(pattern: Location, location: Location) -> bool:
    return len(pattern) == len(location) and all(
        wanted in ("*", part) for wanted, part in zip(pattern, location, strict=True)
    )
