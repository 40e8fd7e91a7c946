"""Durations, sizes and shares, as people write them."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal

_SECONDS = {
    "ms": Decimal("0.001"),
    "s": Decimal(1),
    "m": Decimal(60),
    "h": Decimal(3600),
    "d": Decimal(86400),
}
_BYTES = {"B": 1, "KB": 1000, "KiB": 1024, "MB": 1000**2, "MiB": 1024**2, "GB": 1000**3, "GiB": 1024**3}

_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)(ms|s|m|h|d)")
_PERCENTAGE = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,3})?)%")
_SIZE = re.compile(r"([0-9]{1,12})(B|KB|KiB|MB|MiB|GB|GiB)")


def duration(value: object) -> float:
    """Seconds from "500ms", "2s", "1.5m", "1h" or "1d"; ValueError for anything else, a bare number too."""
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f'{value!r} is not a duration such as "500ms", "2s", "10m" or "1h"')
    return float(Decimal(match[1]) * _SECONDS[match[2]])


def duration_between(shortest: str, longest: str) -> Callable[[object], float]:
    """A reader like `duration` that refuses what is below `shortest` or above `longest`, naming both."""

    def read(value: object) -> float:
        seconds = duration(value)
        if not duration(shortest) <= seconds <= duration(longest):
            raise ValueError(f"must be between {shortest} and {longest}")
        return seconds

    return read


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


def percentage(value: object) -> float:
    """A share from 0.0 to 1.0, from "20%" or from a whole number of percent; ValueError for anything else.

    A bare fraction is refused: 0.2 might mean 20 % as well as 0.2 %.
    """
    text = f"{value}%" if isinstance(value, int) and not isinstance(value, bool) else value
    match = _PERCENTAGE.fullmatch(text) if isinstance(text, str) else None
    if match is None or (percent := float(match[1])) > 100.0:
        raise ValueError(f'{value!r} is not a percentage from "0%" to "100%"')
    return percent / 100.0
