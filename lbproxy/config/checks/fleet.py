"""[fleet]: what belongs together, and what https alone has a use for."""

from __future__ import annotations

from collections.abc import Iterator

from lbproxy.config.checks.look import Document, is_url, table, without_meaning
from lbproxy.config.keys import full_name
from lbproxy.errors import Problem

_PAIRS = (("certificate", "key"), ("user", "password"))


def problems(document: Document) -> Iterator[Problem]:
    """Half a pair, endpoints of both kinds, an endpoint twice, and files of TLS without TLS."""
    fleet = table(document, "fleet")
    for pair in _PAIRS:
        for key, other in (pair, pair[::-1]):
            if key in fleet and other not in fleet:
                yield Problem(f"fleet.{other}", f"missing; {key} needs it")
    urls = _endpoints(fleet)
    secure = [is_url(url, "https") for url in urls]
    if urls and not any(secure):
        yield from without_meaning(("fleet",), fleet, ("ca", "certificate", "key"), "without https:// in fleet.etcd")
    elif not all(secure):
        yield Problem("fleet.etcd", "has http:// beside https://; the endpoints of a cluster are of one kind")
    for position, url in enumerate(urls):
        if url in urls[:position]:
            yield Problem(full_name(("fleet", "etcd", position)), f"{url!r} is there twice")


def warnings(document: Document) -> Iterator[Problem]:
    """A password that can be read on the network."""
    fleet = table(document, "fleet")
    if "password" in fleet and any(is_url(url, "http") for url in _endpoints(fleet)):
        yield Problem("fleet.password", "is sent unencrypted to http:// endpoints")


def _endpoints(fleet: Document) -> list[str]:
    urls = fleet.get("etcd")
    return [url for url in urls if isinstance(url, str)] if isinstance(urls, list) else []
