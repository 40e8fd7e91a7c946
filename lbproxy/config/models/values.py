"""The types of single values that more than one table has, as pydantic annotations.

Each is read by a function that takes what TOML holds and returns the value, or raises ValueError with a sentence for
people.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, StrictInt, ValidationInfo

from lbproxy.config import addresses
from lbproxy.config.addresses import Address, Network
from lbproxy.config.models.table import directory
from lbproxy.config.units import duration

_T = TypeVar("_T")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TARGET = re.compile(r"/[!-~]*")


def is_name(text: str) -> bool:
    """Whether a listener, a pool, a backend or a fact may be called so."""
    return _NAME.fullmatch(text) is not None


def _name(text: str) -> str:
    if not is_name(text):
        raise ValueError(f"{text!r} is not a name: a letter or digit, and up to 62 more, '-', '_' and '.'")
    return text


def _not_empty(text: str) -> str:
    if not text:
        raise ValueError("must not be empty")
    return text


def file_path(value: object, info: ValidationInfo) -> Path:
    """An absolute path from one that may begin at the configuration file's directory."""
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError("must be the path of a file")
    # Not resolved: certificates are often links that a renewal moves, and the link is what has to be read again.
    return directory(info) / value


def _bind(value: object, info: ValidationInfo) -> Address:
    return addresses.address(value, directory(info))


def request_target(text: str) -> str:
    """A path with a query or without one; raises ValueError."""
    if not _TARGET.fullmatch(text) or "#" in text:
        raise ValueError(f"{text!r} is not a path that begins with /")
    return text


def _token(text: str) -> str:
    if not _TOKEN.fullmatch(text):
        raise ValueError(f"{text!r} is not an HTTP token (RFC 9110 section 5.6.2)")
    return text


def _page_url(text: str) -> str:
    plain = text.replace("://{host}", "://host", 1)
    if "{" in plain or "}" in plain:
        raise ValueError(f"{text!r} may hold {{host}} in place of the host, and no other braces")
    if addresses.absolute_url(plain, ("http", "https")).fragment:
        raise ValueError(f"{text!r} must not hold a fragment (#)")
    return text


def not_empty(entries: tuple[_T, ...]) -> tuple[_T, ...]:
    """`entries` unless there are none.

    pydantic's own minimum counts the valid entries only, and would speak up beside what is wrong with the others.
    """
    if not entries:
        raise ValueError("needs at least one entry")
    return entries


Name = Annotated[str, AfterValidator(_name)]
"""Of a listener, a pool, a backend or a fact."""

NotEmpty = Annotated[str, AfterValidator(_not_empty)]
"""Text whose meaning is not checked here."""

File = Annotated[Path, PlainValidator(file_path)]
"""An absolute path; nothing is opened."""

Bind = Annotated[Address, PlainValidator(_bind)]
"""Where to listen."""

Networks = tuple[Annotated[Network, PlainValidator(addresses.network)], ...]
"""Peers by address."""

Host = Annotated[str, BeforeValidator(addresses.host)]
"""In lower case, without port."""

Count = Annotated[StrictInt, Field(ge=1)]
"""A whole number of at least 1."""

Token = Annotated[str, AfterValidator(_token)]
"""An HTTP token: a method or a header's name."""

Target = Annotated[str, AfterValidator(request_target)]
"""A path, perhaps with a query."""

Duration = Annotated[float, BeforeValidator(duration)]
"""Seconds, zero allowed."""

PositiveDuration = Annotated[float, BeforeValidator(duration), Field(gt=0)]
"""Seconds, more than zero."""

PageUrl = Annotated[str, AfterValidator(_page_url)]
"""An absolute http or https URL, in which {host} may stand for the host of each backend."""
