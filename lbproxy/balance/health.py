"""What a probe's result, or a failure that user traffic saw, means for a backend.

| state | good probe | bad probe | `Counts.EJECT` | `Counts.ERROR` | `Counts.SUSPECT` |
| --- | --- | --- | --- | --- | --- |
| new | up at once | down after `fall` in a row | - | - | - |
| up | - | down after `fall` in a row | down at once | down after `consecutive_errors` in a row | probe at once |
| down | up after `rise` in a row, not before `held_until` | - | - | - | - |

The last three are failures that user traffic saw (`reasons.Counts`); they judge a backend only while it is in use.
In a row, for errors, means that the data path saw no good answer in between: it sets `Backend.errors_in_row` to 0.
A good probe does not: a health page that works says nothing of the pages that users get.

Two exceptions keep the last backend. While one is alone in rotation, a failed request only makes it a suspect: the
same request may break every backend, and one user could repeat it until none is left. While the rotation is empty, one
good probe is enough and there is no wait, because there are no requests to protect.

An *ambiguous* failure is one that the client may have caused, for example by its certificate, or by having none. It is
not counted, and makes the backend a suspect at most. A client cannot cause that a connection is not accepted.

A backend that is ejected again soon after it was readmitted flaps, and is held: it may come back after twice the time
that `rise` probes take, then four times, and so on up to `readmit_backoff`. After it has been up for `readmit_backoff`
seconds its ejections are forgotten. Probes count during the wait, so the first good one after it brings the backend
back.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from lbproxy import reasons
from lbproxy.balance.backend import Backend, State
from lbproxy.reasons import Counts, Reason

_NO_CONNECTION = frozenset({reasons.CONNECT_REFUSED, reasons.CONNECT_TIMEOUT, reasons.CONNECT_FAILED})
# What no request can cause. A failed TLS handshake is not among them: it may be one user's minted certificate.


@dataclass(frozen=True, slots=True)
class Rules:
    """How many results in a row decide, each at least 1; and the waits of a backend that flaps, in seconds.

    `interval` is the time from a probe to the next; `readmit_backoff` the longest wait, with 0 there is none. The
    defaults of users are those of the configuration.
    """

    rise: int = 1
    fall: int = 1
    consecutive_errors: int = 1
    interval: float = 0.0
    readmit_backoff: float = 0.0


class Change(Enum):
    """What has to follow from a result."""

    READMIT = "readmit"
    EJECT = "eject"
    SUSPECT = "suspect"  # nothing is decided: send a probe at once


def probe(backend: Backend, rules: Rules, ok: bool, now: float, rotation_empty: bool = False) -> Change | None:
    """Count one probe's result and move `backend` to the state that follows; `rotation_empty`: no other is in it."""
    return _good_probe(backend, rules, now, rotation_empty) if ok else _bad_probe(backend, rules, now)


def evidence(
    backend: Backend, rules: Rules, reason: Reason, now: float, alone: bool = False, ambiguous: bool = False
) -> Change | None:
    """Count one end of a request or lane and move `backend` to the state that follows; `alone`: is it in rotation."""
    counts = reason.counts
    if ambiguous and counts is not Counts.NOTHING and reason not in _NO_CONNECTION:
        counts = Counts.SUSPECT
    if counts in (Counts.ERROR, Counts.EJECT):
        backend.errors += 1
        backend.errors_in_row += 1
    if backend.state is not State.UP:
        return None
    if counts is Counts.SUSPECT:
        return Change.SUSPECT
    if counts is Counts.EJECT or (counts is Counts.ERROR and backend.errors_in_row >= rules.consecutive_errors):
        return convict(backend, rules, reason, now, alone)
    return None


def convict(backend: Backend, rules: Rules, reason: Reason, now: float, alone: bool) -> Change | None:
    """There is evidence enough against `backend`, seen here or by another process: eject it, if that may be."""
    if backend.state is not State.UP:
        return None
    return Change.SUSPECT if alone and reason not in _NO_CONNECTION else _eject(backend, rules, now)


def recall(backend: Backend, now: float) -> Change | None:
    """No backend is in rotation any more: `backend` is up at once if it was waiting for more than its good probes."""
    return _readmit(backend, now) if backend.state is State.DOWN and backend.rise_count else None


def _good_probe(backend: Backend, rules: Rules, now: float, rotation_empty: bool) -> Change | None:
    backend.fall_count = 0
    if backend.state is State.UP:
        return None
    backend.rise_count += 1
    proven = backend.rise_count >= rules.rise and now >= backend.held_until
    return _readmit(backend, now) if backend.state is State.NEW or proven or rotation_empty else None


def _bad_probe(backend: Backend, rules: Rules, now: float) -> Change | None:
    backend.rise_count = 0
    if backend.state is State.DOWN:
        return None
    backend.fall_count += 1
    return _eject(backend, rules, now) if backend.fall_count >= rules.fall else None


def _readmit(backend: Backend, now: float) -> Change:
    backend.held_until = 0.0
    _move(backend, State.UP, now)
    return Change.READMIT


def _eject(backend: Backend, rules: Rules, now: float) -> Change:
    if backend.fit:  # or it is new, or was restarted while it was drained
        _hold(backend, rules, now)
        backend.ejections += 1
    _move(backend, State.DOWN, now)
    return Change.EJECT


def _hold(backend: Backend, rules: Rules, now: float) -> None:
    """Say how long a backend that is ejected now has to wait."""
    flaps = backend.ejections > 0 and now - backend.since < rules.readmit_backoff
    usual = rules.rise * rules.interval
    backend.readmit_wait = min(2 * (backend.readmit_wait or usual), rules.readmit_backoff) if flaps else 0.0
    backend.held_until = now + backend.readmit_wait if flaps else 0.0


def _move(backend: Backend, state: State, now: float) -> None:
    """Every change of state starts all counts in a row anew."""
    backend.state = state
    backend.since = now
    backend.rise_count = backend.fall_count = backend.errors_in_row = 0
