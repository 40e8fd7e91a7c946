"""A connection to a directory. Everything here may block, for as long as its limits say.

bonsai is OpenLDAP's library with Cyrus SASL: with GSSAPI it signs and seals, as domain controllers demand where there
is no TLS. It is imported late.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from lbproxy.doctor.directory.errors import DirectoryError
from lbproxy.errors import MissingExtraError

if TYPE_CHECKING:
    import bonsai

PATIENCE = 4.0
"""Seconds for each question."""

_PAGE = 500  # entries at a time; Active Directory gives 1000 at most

Entry = Mapping[str, Sequence[str]]
"""An entry's attributes, by their names in lower case."""


class Simple(NamedTuple):
    """A name and a password; both empty is anonymous."""

    user: str
    password: str

    def __repr__(self) -> str:
        return f"<{self.user}>"


class Session:
    """Questions to a directory."""

    def __init__(self, connection: bonsai.LDAPConnection) -> None:
        self._connection = connection

    def search(self, base: str, condition: str, attributes: Sequence[str]) -> list[Entry]:
        """The entries below `base`, none if there is no such base. Raises DirectoryError."""
        return self._search(base, 2, condition, attributes)

    def holds(self, base: str, condition: str) -> bool:
        """Whether there is one at all. Raises DirectoryError."""
        return bool(self._search(base, 2, condition, ["cn"], 1))

    def read(self, name: str, attributes: Sequence[str]) -> Entry:
        """One entry, by its DN; "" is the server's own. Raises DirectoryError."""
        found = self._search(name, 0, "(objectClass=*)", attributes)
        if not found:
            raise DirectoryError(f"{name or 'the root'} is not there, or may not be read")
        return found[0]

    def some(self, base: str, condition: str, attributes: Sequence[str], seconds: float) -> tuple[list[Entry], bool]:
        """What comes within `seconds`, page by page, and whether that is all. Raises DirectoryError."""
        import bonsai

        ends, found = time.monotonic() + seconds, list[Entry]()
        try:
            for one in self._connection.paged_search(
                base, bonsai.LDAPSearchScope.SUBTREE, condition, attrlist=list(attributes), timeout=PATIENCE,
                page_size=_PAGE,
            ):  # fmt: skip
                found.append(_entry(one))
                if time.monotonic() > ends:
                    return found, False
        except bonsai.errors.LDAPError as error:
            raise DirectoryError(_reason(error)) from None
        return found, True

    def _search(self, base: str, scope: int, condition: str, attributes: Sequence[str], limit: int = 0) -> list[Entry]:
        import bonsai

        try:
            found = self._connection.search(
                base, scope, condition, attrlist=list(attributes), timeout=PATIENCE, sizelimit=limit
            )
        except bonsai.errors.SizeLimitError:
            return [{}]  # there are more
        except bonsai.errors.LDAPError as error:
            raise DirectoryError(_reason(error)) from None
        return [_entry(one) for one in found]


def _entry(found: Mapping[str, object]) -> Entry:
    """With its DN, as dn."""
    return {str(name).lower(): _texts(found[name]) for name in found}


def _texts(value: object) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [one.hex() if isinstance(one, bytes) else str(one) for one in values]


@contextmanager
def session(
    url: str, credentials: Simple | None, authorities: str | None = None, raw: Sequence[str] = ()
) -> Iterator[Session]:
    """Connect to ldap://host or ldaps://host, and sign in. None: by GSSAPI, with the ticket in KRB5CCNAME.

    authorities: a file of PEM that is believed instead of the system's. raw: attributes that are told in hex.
    Raises DirectoryError, and MissingExtraError.
    """
    os.environ.setdefault("LDAPSASL_NOCANON", "on")  # or OpenLDAP asks for the ticket of what DNS says backwards
    try:
        import bonsai
    except ImportError:
        raise MissingExtraError("LDAP", "doctor") from None

    try:
        client = bonsai.LDAPClient(url)
        client.set_ignore_referrals(True)
        if raw:
            client.set_raw_attributes(list(raw))
        if authorities is not None:
            client.set_ca_cert(authorities)
        if credentials is None:
            client.set_credentials("GSSAPI")
        elif credentials.user:
            client.set_credentials("SIMPLE", credentials.user, credentials.password)
        connection = client.connect(timeout=PATIENCE)
    except bonsai.errors.LDAPError as error:
        raise DirectoryError(_reason(error), isinstance(error, bonsai.errors.AuthenticationError)) from None
    except ValueError:
        raise DirectoryError(f"{url} is no URL with ldap:// or ldaps://") from None
    with connection:
        yield Session(connection)


def _reason(error: Exception) -> str:
    """OpenLDAP's words and the server's, without the class and the number that bonsai adds."""
    return str(error).split(" (0x")[0].strip().rstrip(".") or type(error).__name__
