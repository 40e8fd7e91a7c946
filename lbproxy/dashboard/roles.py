"""Who may do what: patterns of [admin.web] against whoever has signed in.

A pattern speaks of one way of signing in, so that a name of one can never be taken for one of another:

    with = in it      the subject of a client certificate, whole, as RFC 4514 writes it
    else with @       a Kerberos principal
    else              a name of the password file
    *                 everybody who can sign in

In each, * is any text and nothing else has a meaning of its own. Case counts. What a name has escaped stays together:
the comma in "CN=a\\,O=Corp" is one of a name, and not the one that begins an organization.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from lbproxy.dashboard.sessions import Role

EVERYBODY = "*"

_ANY = r"(?:[^\\]|\\.)*"
"""Any text, in which a backslash goes with what it escapes."""


def way_of(pattern: str) -> str | None:
    """The way of signing in that a pattern speaks of; None: all."""
    if pattern == EVERYBODY:
        return None
    if "=" in pattern:
        return "certificate"
    return "kerberos" if "@" in pattern else "password"


def role_of(how: str, name: str, viewers: Iterable[str], operators: Iterable[str]) -> Role | None:
    """The role of whoever has signed in that way under that name; None: there is none."""
    if _any(how, name, operators):
        return "operator"
    return "viewer" if _any(how, name, viewers) else None


def _any(how: str, name: str, patterns: Iterable[str]) -> bool:
    return any(way_of(one) in (None, how) and _matches(one, name) for one in patterns)


def _matches(pattern: str, name: str) -> bool:
    return re.fullmatch(_ANY.join(map(re.escape, pattern.split("*"))), name, re.DOTALL) is not None
