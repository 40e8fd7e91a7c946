"""The keys of a listener about its users' certificates, and what minting asks of the pool."""

from __future__ import annotations

from collections.abc import Iterator

from lbproxy.config.checks.look import Document, backend_values, is_url, table, without_meaning
from lbproxy.config.keys import Location, full_name, subtables
from lbproxy.errors import Problem

_ABOUT_CLIENTS = ("client_ca", "client_crl", "client_identity", "mint")


def problems(document: Document) -> Iterator[Problem]:
    """What is missing or useless in each listener's tls."""
    pools = dict(subtables(document, "pool"))
    for name, listener in subtables(document, "listener"):
        tls = table(listener, "tls")
        where: Location = ("listener", name, "tls")
        if tls.get("client_certificate", "none") == "none":
            asked_for = {key: value for key, value in tls.items() if value not in ("none", [])}
            yield from without_meaning(where, asked_for, _ABOUT_CLIENTS, "without client_certificate")
            continue
        if "client_ca" not in tls:
            yield Problem(full_name((*where, "client_ca")), "missing; it says whose certificates are believed")
        yield from _mint_table(where, tls)
        pool = listener.get("pool")
        if tls.get("client_identity") == "mint" and isinstance(pool, str) and pool in pools:
            yield from _minting_into(pool, pools[pool], f"listener.{name}")


def _mint_table(where: Location, tls: Document) -> Iterator[Problem]:
    if tls.get("client_identity") != "mint":
        yield from without_meaning(where, tls, ("mint",), 'without client_identity = "mint"')
    elif "mint" not in tls:
        text = 'missing; client_identity = "mint" needs ca_certificate and ca_key in it'
        yield Problem(full_name((*where, "mint")), text)


def _minting_into(name: str, pool: Document, listener: str) -> Iterator[Problem]:
    """A user is handed on by the TLS handshake with a backend, which therefore has to be the right one."""
    because = f"{listener} mints certificates for these backends"
    tls = table(pool, "tls")
    where: Location = ("pool", name, "tls")
    for location, url in backend_values(name, pool, "url"):
        if is_url(url, "http"):
            yield Problem(full_name(location), f"{because}: it must be https://")
    if "ca" not in tls:
        yield Problem(full_name((*where, "ca")), f"missing; {because} and has to know whom it hands users to")
    if tls.get("verify") is False:
        yield Problem(full_name((*where, "verify")), f"{because} and has to know whom it hands users to")
    if "certificate" in tls:
        text = f"{because}: with this one, a user without a certificate would be signed in as lbproxy"
        yield Problem(full_name((*where, "certificate")), text)
