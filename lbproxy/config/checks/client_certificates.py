"""The keys of a listener about its users' certificates, and what minting asks of the pool."""

from __future__ import annotations

from collections.abc import Iterator

from lbproxy.config.checks.look import Document, backend_values, is_url, mints, table, without_meaning
from lbproxy.config.keys import Location, full_name, subtables
from lbproxy.errors import Problem

_ABOUT_CLIENTS = ("client_ca", "client_crl", "client_identity")


def problems(document: Document) -> Iterator[Problem]:
    """What is missing in each listener's tls, and what looks as if users were asked where they are not."""
    pools = dict(subtables(document, "pool"))
    for name, listener in subtables(document, "listener"):
        tls = table(listener, "tls")
        where: Location = ("listener", name, "tls")
        if not _asks(tls):
            if "client_certificate" not in tls:  # forgotten, or "none" would be there
                yield from without_meaning(where, _about_clients(tls), _ABOUT_CLIENTS, "without client_certificate")
            continue
        if "client_ca" not in tls:
            yield Problem(full_name((*where, "client_ca")), "missing; it says whose certificates are believed")
        if tls.get("client_identity") == "mint":
            yield from _minting(f"listener.{name}", where, listener, pools)


def warnings(document: Document) -> Iterator[Problem]:
    """Keys for certificates that no user is asked for, a mint that is not used, and two of them for one pool."""
    yield from _second_mints(document)
    for name, listener in subtables(document, "listener"):
        tls = table(listener, "tls")
        where: Location = ("listener", name, "tls")
        if not _asks(tls):
            text = 'with client_certificate = "none"'
            yield from without_meaning(where, _about_clients(tls), (*_ABOUT_CLIENTS, "mint"), text)
        elif tls.get("client_identity") != "mint":
            yield from without_meaning(where, tls, ("mint",), 'without client_identity = "mint"')


def _second_mints(document: Document) -> Iterator[Problem]:
    """Probes show a certificate of one mint, so that another one has to be the same authority, or is not proven."""
    first: dict[object, tuple[str, object]] = {}
    for name, listener in subtables(document, "listener"):
        if mints(listener):
            ca = table(table(listener, "tls"), "mint").get("ca_certificate")
            other, other_ca = first.setdefault(listener.get("pool"), (name, ca))
            if ca != other_ca:
                text = f"another authority than that of listener.{other}, whose certificate the pool's probes show"
                yield Problem(full_name(("listener", name, "tls", "mint", "ca_certificate")), text)


def _asks(tls: Document) -> bool:
    return tls.get("client_certificate", "none") != "none"


def _about_clients(tls: Document) -> Document:
    """The keys that would do something if users were asked."""
    return {key: value for key, value in tls.items() if value not in ("none", [])}


def _minting(listener: str, where: Location, options: Document, pools: dict[str, Document]) -> Iterator[Problem]:
    if "mint" not in table(options, "tls"):
        text = 'missing; client_identity = "mint" needs ca_certificate and ca_key in it'
        yield Problem(full_name((*where, "mint")), text)
    pool = options.get("pool")
    if isinstance(pool, str) and pool in pools:
        yield from _minting_into(pool, pools[pool], listener)


def _minting_into(name: str, pool: Document, listener: str) -> Iterator[Problem]:
    """A user is handed on by the TLS handshake with a backend, which therefore has to be the right one."""
    because = f"{listener} mints certificates for these backends"
    tls = table(pool, "tls")
    where: Location = ("pool", name, "tls")
    for location, url in backend_values(name, pool, "url"):
        if is_url(url, "http"):
            yield Problem(full_name(location), f"{because}: it must be https://")
    discover = table(pool, "discover")
    if discover.get("kind") == "dns" and not is_url(str(discover.get("scheme", "http")), "https"):
        yield Problem(full_name(("pool", name, "discover", "scheme")), f"{because}: it must be https")
    if "ca" not in tls:
        yield Problem(full_name((*where, "ca")), f"missing; {because} and has to know whom it hands users to")
    if tls.get("verify") is False:
        yield Problem(full_name((*where, "verify")), f"{because} and has to know whom it hands users to")
    if "certificate" in tls:
        text = f"{because}: with this one, a user without a certificate would be signed in as lbproxy"
        yield Problem(full_name((*where, "certificate")), text)
