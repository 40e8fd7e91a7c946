"""ONE table: what the file format knows and this version does not do yet.

It is refused, never ignored: a balancer that dropped `workers = 4` would serve at a quarter of what was planned.
The change that builds a feature deletes its row here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from lbproxy.config.keys import Location, full_name, walk
from lbproxy.errors import Problem

TEXT = "not supported yet"

TABLE: Mapping[Location, object] = MappingProxyType({("workers",): 1})
"""Key -> the only value of it that is accepted."""


def refusals(document: Mapping[str, object]) -> Iterator[Problem]:
    """A problem for each key of `document` that asks for something in the table."""
    for location, value in walk(document):
        if location in TABLE and value != TABLE[location]:
            yield Problem(full_name(location), TEXT)
