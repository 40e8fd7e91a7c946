"""The condition of a backend, as one process sends it to another: to the next generation, or to another worker.

Both read the same monotonic clock, so its seconds mean the same to them.
"""

from __future__ import annotations

from typing import NamedTuple

from lbproxy.balance.backend import Backend, State
from lbproxy.reasons import TABLE


class Condition(NamedTuple):
    """Everything of a `Backend` that decides whether it is picked, and what says why. `reason` is a label or empty.

    `weight` and `standby` have operators' orders in them; `slow_since` is when its slow start began, None if it is
    in none (`balance.slow_start`).
    """

    state: str
    since: float
    draining: bool
    inconsistent: str
    reason: str
    detail: str
    held_until: float
    readmit_wait: float
    rise_count: int
    fall_count: int
    weight: int
    standby: bool
    slow_since: float | None


def read(backend: Backend, slow_since: float | None) -> Condition:
    """How `backend` is now."""
    return Condition(
        backend.state.value,
        backend.since,
        backend.draining,
        backend.inconsistent,
        "" if backend.reason is None else backend.reason.label,
        backend.detail,
        backend.held_until,
        backend.readmit_wait,
        backend.rise_count,
        backend.fall_count,
        backend.weight,
        backend.standby,
        slow_since,
    )


def write(backend: Backend, condition: Condition) -> None:
    """Give `backend` this condition. This does not place it in the pool: call `Pool.adopt`."""
    state = State(condition.state)
    if state is not backend.state:
        backend.errors_in_row = 0  # counted by each process for itself
    backend.state = state
    backend.since = condition.since
    backend.draining = condition.draining
    backend.inconsistent = condition.inconsistent
    backend.reason = TABLE.get(condition.reason)  # None for one that the sender's version alone knows
    backend.detail = condition.detail
    backend.held_until, backend.readmit_wait = condition.held_until, condition.readmit_wait
    backend.rise_count, backend.fall_count = condition.rise_count, condition.fall_count
    backend.weight, backend.standby = condition.weight, condition.standby
