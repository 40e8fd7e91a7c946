"""The keys of [admin.web] against the ways of signing in."""

from __future__ import annotations

from collections.abc import Iterator

from lbproxy.config.checks.look import Document, table, without_meaning
from lbproxy.errors import Problem

_NEEDS = {"kerberos": "keytab", "certificate": "client_ca", "password": "passwords"}


def problems(document: Document) -> Iterator[Problem]:
    """A way of signing in without its file, and a dashboard that would admit no user."""
    web = _web(document)
    if not web:
        return
    for way in _ways(web):
        key = _NEEDS.get(way)
        if key is not None and key not in web:
            yield Problem(f"admin.web.{key}", f'missing; sign_in = ["{way}"] needs it')
    if not web.get("viewers") and not web.get("operators"):
        yield Problem("admin.web.operators", "missing; without viewers and operators no user is admitted")


def warnings(document: Document) -> Iterator[Problem]:
    """Files of ways that are not offered, and patterns that speak of one of these."""
    web = _web(document)
    ways = _ways(web)
    for way, key in _NEEDS.items():
        if way not in ways:
            yield from without_meaning(("admin", "web"), web, (key,), f'without "{way}" in sign_in')
    for key in ("viewers", "operators"):
        patterns = web.get(key)
        for position, pattern in enumerate(patterns if isinstance(patterns, list) else ()):
            way = _way_of(pattern)
            if way and way not in ways:
                text = f'{pattern!r} speaks of a {_NAMES[way]}, and there is no "{way}" in sign_in'
                yield Problem(f"admin.web.{key}[{position}]", text)


_NAMES = {"kerberos": "Kerberos principal", "certificate": "certificate's subject", "password": "name with a password"}


def _way_of(pattern: object) -> str:
    """As `lbproxy.dashboard.roles.way_of`, of what may be anything."""
    if not isinstance(pattern, str) or pattern in ("", "*"):
        return ""
    return "certificate" if "=" in pattern else "kerberos" if "@" in pattern else "password"


def _web(document: Document) -> Document:
    return table(table(document, "admin"), "web")


def _ways(web: Document) -> list[str]:
    ways = web.get("sign_in")
    return [way for way in ways if isinstance(way, str)] if isinstance(ways, list) else []
