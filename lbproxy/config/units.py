"""Durations and sizes, as people write them."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator, Field

_SECONDS = {
    "ms": Decimal("0.001"),
    "s": Decimal(1),
    "m": Decimal(60),
    "h": Decimal(3600),
    "d": Decimal(86400),
}
_BYTES = {"B": 1, "KB": 1000, "KiB": 1024, "MB": 1000**2, "MiB": 1024**2, "GB": 1000**3, "GiB": 1024**3}

_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)(ms|s|m|h|d)")
_SIZE = re.compile(r"([0-9]{1,12})(B|KB|KiB|MB|MiB|GB|GiB)")


def duration(value: object) -> float:
    """Seconds from "500ms", "2s", "1.5m", "1h" or "1d"; ValueError for anything else, a bare number too."""
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f'{value!r} is not a duration such as "500ms", "2s", "10m" or "1h"')
    return float(Decimal(match[1]) * _SECONDS[match[2]])


def size(value: object) -> int:
    """Bytes from a whole number or from "128KiB" (1024 bytes each), "64KB" (1000 each) and so on; else ValueError."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f'{value!r} is not a size such as "128KiB", "64KB" or a number of bytes')
    return int(match[1]) * _BYTES[match[2]]


def size_between(lowest: str, highest: str) -> Callable[[object], int]:
    """A reader like `size` that refuses what is below `lowest` or above `highest`, naming both."""

    def read(value: object) -> int:
        number = size(value)
        if not size(lowest) <= number <= size(highest):
            raise ValueError(f"must be between {lowest} and {highest}")
        return number

    return read


Duration = Annotated[float, BeforeValidator(duration)]
"""Seconds, zero allowed."""

PositiveDuration = Annotated[float, BeforeValidator(duration), Field(gt=0)]
"""Seconds, more than zero."""
