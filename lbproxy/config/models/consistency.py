"""[pool.NAME.consistency]: what must be the same on every backend of a pool, and where to read it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StrictBool

from lbproxy.config.models.backend import Backend
from lbproxy.config.models.table import Table
from lbproxy.config.models.values import Name, PageUrl, PositiveDuration, Target, Token

METADATA_PATH = "/wsfed/FederationMetadata/2007-06/FederationMetadata.xml"
"""The page of an Auth0 AD/LDAP connector that publishes its own address."""

_POINTER = re.compile(r"(?:/(?:[^~/]|~[01])*)+")


def _pointer(text: str) -> str:
    if not _POINTER.fullmatch(text):
        raise ValueError(f"{text!r} is not a JSON pointer such as /version (RFC 6901)")
    return text


def _regex(text: str) -> str:
    try:
        groups = re.compile(text).groups
    except re.error as error:
        raise ValueError(f"{text!r} is not a regular expression: {error}") from None
    if groups != 1:
        raise ValueError(f"{text!r} must have exactly one group in parentheses, which is the value")
    return text


class Fact(Table):
    """[pool.NAME.consistency.facts.NAME]: exactly one source.

    A source is a page (`url` or `path`) and where in it the value is (`pointer`, a JSON pointer written as `json`;
    `regex`; or `header`), or one of the truth values: `certificate` is the SHA-256 fingerprint of the backend's TLS
    certificate, `metadata` the address that its federation metadata publishes, `kvno` that of the Kerberos check's key,
    `registered` the fact of the same name that the backend was registered with.
    """

    url: PageUrl | None = None
    path: Target | None = None
    pointer: Annotated[str, AfterValidator(_pointer)] | None = Field(default=None, alias="json")
    regex: Annotated[str, AfterValidator(_regex)] | None = None
    header: Token | None = None
    certificate: StrictBool = False
    metadata: StrictBool = False
    kvno: StrictBool = False
    registered: StrictBool = False
    equal: str | None = None

    def page(self, backend: Backend) -> str | None:
        """The absolute URL of the page of `backend` that has the fact; None for a fact that is on no page."""
        path = METADATA_PATH if self.metadata else self.path
        return None if self.url is None and path is None else backend.page(self.url, path or "")

    def expected(self, server_url: str) -> str | None:
        """The value that is right whatever the others have, if there is one: metadata must publish `server_url`."""
        return server_url if self.equal is None and self.metadata else self.equal


class Consistency(Table):
    """[pool.NAME.consistency]: without facts, nothing is compared."""

    policy: Literal["off", "warn", "eject-minority"] = "warn"
    interval: PositiveDuration = 30.0
    facts: Mapping[Name, Fact] = {}
