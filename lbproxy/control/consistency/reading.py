"""What came of reading one fact at one backend."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

LONGEST_VALUE = 128
"""Characters; what is longer is compared, and shown, by its digest."""


class Unreadable(Exception):
    """Why a fact is not known, in a few words for an administrator."""


@dataclass(frozen=True, slots=True)
class Reading:
    """`value`, or None and the `trouble` why it is not known.

    Both: the value is an old one, which cannot be read again.
    """

    value: str | None
    trouble: str = ""


def shortened(value: str) -> str:
    """`value`, or something that is as telling in a comparison, and short."""
    if len(value) <= LONGEST_VALUE:
        return value
    # A JSON string may hold half a surrogate pair, which UTF-8 has no bytes for.
    return f"sha256:{hashlib.sha256(value.encode('utf-8', 'surrogatepass')).hexdigest()}"
