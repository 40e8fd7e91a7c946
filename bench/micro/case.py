"""What is timed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Case:
    """A call that does its work `times` times, and was seen to do it right."""

    call: Callable[[], object]
    times: int = 1
