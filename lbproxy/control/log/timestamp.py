"""A moment as the logs write it."""

from __future__ import annotations

import time
from functools import lru_cache


def timestamp(seconds: float) -> str:
    """Seconds since the epoch as RFC 3339 in UTC, with milliseconds: 2026-11-21T07:40:00.123Z."""
    second, milliseconds = divmod(round(seconds * 1000), 1000)
    return date_and_time(second) + _FRACTIONS[milliseconds]


@lru_cache(maxsize=8)  # thousands of requests share a second
def date_and_time(second: int) -> str:
    """The same of a whole second, without the fraction and the Z that end it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


_FRACTIONS = tuple(f".{milliseconds:03d}Z" for milliseconds in range(1000))
