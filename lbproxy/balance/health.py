"""What a probe's result, or a failure that user traffic saw, means for a backend.

| state | good probe | bad probe | `Counts.EJECT` | `Counts.ERROR` | `Counts.SUSPECT` |
| --- | --- | --- | --- | --- | --- |
| new | up at once | down after `fall` in a row | - | - | - |
| up | - | down after `fall` in a row | down at once | down after `consecutive_errors` in a row | probe at once |
| down | up after `rise` in a row | - | - | - | - |

The last three are failures that user traffic saw (`reasons.Counts`); they judge a backend only while it is in use.

In a row, for errors, means that the data path saw no good answer in between: it sets `Backend.errors_in_row` to 0.
A good probe does not: a health page that works says nothing of the pages that users get.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from lbproxy.balance.backend import Backend, State
from lbproxy.reasons import Counts, Reason


@dataclass(frozen=True, slots=True)
class Rules:
    """How many results in a row decide; each is at least 1."""

    rise: int = 2
    fall: int = 1
    consecutive_errors: int = 3


class Change(Enum):
    """What has to follow from a result."""

    READMIT = "readmit"
    EJECT = "eject"
    SUSPECT = "suspect"  # nothing is decided: send a probe at once


def probe(backend: Backend, rules: Rules, ok: bool, now: float) -> Change | None:
    """Count one probe's result and move `backend` to the state that follows."""
    return _good_probe(backend, rules, now) if ok else _bad_probe(backend, rules, now)


def evidence(backend: Backend, rules: Rules, reason: Reason, now: float) -> Change | None:
    """Count one end of a request or lane and move `backend` to the state that follows."""
    counts = reason.counts
    if counts in (Counts.ERROR, Counts.EJECT):
        backend.errors += 1
        backend.errors_in_row += 1
    if backend.state is not State.UP:
        return None
    if counts is Counts.SUSPECT:
        return Change.SUSPECT
    if counts is Counts.EJECT or (counts is Counts.ERROR and backend.errors_in_row >= rules.consecutive_errors):
        return _eject(backend, now)
    return None


def _good_probe(backend: Backend, rules: Rules, now: float) -> Change | None:
    backend.fall_count = 0
    if backend.state is State.UP:
        return None
    backend.rise_count += 1
    if backend.state is State.DOWN and backend.rise_count < rules.rise:
        return None
    _move(backend, State.UP, now)
    return Change.READMIT


def _bad_probe(backend: Backend, rules: Rules, now: float) -> Change | None:
    backend.rise_count = 0
    if backend.state is State.DOWN:
        return None
    backend.fall_count += 1
    return _eject(backend, now) if backend.fall_count >= rules.fall else None


def _eject(backend: Backend, now: float) -> Change:
    if backend.state is State.UP:  # a new one was never in rotation
        backend.ejections += 1
    _move(backend, State.DOWN, now)
    return Change.EJECT


def _move(backend: Backend, state: State, now: float) -> None:
    """Every change of state starts all counts in a row anew."""
    backend.state = state
    backend.since = now
    backend.rise_count = backend.fall_count = backend.errors_in_row = 0
