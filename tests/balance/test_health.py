from __future__ import annotations

import pytest

from lbproxy import reasons
from lbproxy.balance import health
from lbproxy.balance.backend import Backend, State
from lbproxy.balance.health import Change, Rules

RULES = Rules(rise=2, fall=2, consecutive_errors=3)
NEW, UP, DOWN = State.NEW, State.UP, State.DOWN
EJECT, ERROR, SUSPECT, NOTHING = (
    reasons.CONNECT_REFUSED,
    reasons.BACKEND_ERROR,
    reasons.RESPONSE_TIMEOUT,
    reasons.CLIENT_GONE,
)


def backend_in(state: State) -> Backend:
    backend = Backend("c1", "http://c1:80")
    backend.state = state
    return backend


@pytest.mark.parametrize(
    ("start", "events", "end", "last_change"),
    [
        # a probe's result is "+" or "-"; "!" eject, "e" error, "s" suspect, "n" nothing, "g" a good answer to a user
        (NEW, "+", UP, Change.READMIT),
        (NEW, "-", NEW, None),
        (NEW, "--", DOWN, Change.EJECT),
        (NEW, "-+", UP, Change.READMIT),
        (NEW, "!", NEW, None),
        (NEW, "eeee", NEW, None),
        (NEW, "s", NEW, None),
        (UP, "+", UP, None),
        (UP, "-", UP, None),
        (UP, "-+-", UP, None),
        (UP, "--", DOWN, Change.EJECT),
        (UP, "!", DOWN, Change.EJECT),
        (UP, "ee", UP, None),
        (UP, "eee", DOWN, Change.EJECT),
        (UP, "eegee", UP, None),
        (UP, "ee+e", DOWN, Change.EJECT),
        (UP, "eese", DOWN, Change.EJECT),
        (UP, "s", UP, Change.SUSPECT),
        (UP, "n", UP, None),
        (DOWN, "+", DOWN, None),
        (DOWN, "++", UP, Change.READMIT),
        (DOWN, "+-+", DOWN, None),
        (DOWN, "+-++", UP, Change.READMIT),
        (DOWN, "---", DOWN, None),
        (DOWN, "!es", DOWN, None),
        (DOWN, "+!+", UP, Change.READMIT),
        (UP, "-!++-", UP, None),
        (UP, "ee--++ee", UP, None),
    ],
)
def test_events_move_a_backend(start: State, events: str, end: State, last_change: Change | None) -> None:
    backend = backend_in(start)
    traffic = {"!": EJECT, "e": ERROR, "s": SUSPECT, "n": NOTHING}
    change = None
    for now, event in enumerate(events):
        if event == "g":
            backend.errors_in_row = 0
        elif event in "+-":
            change = health.probe(backend, RULES, event == "+", now)
        else:
            change = health.evidence(backend, RULES, traffic[event], now)
    assert (backend.state, change) == (end, last_change)


def test_since_is_when_the_state_changed() -> None:
    backend = backend_in(NEW)
    health.probe(backend, RULES, True, 10.0)
    health.probe(backend, RULES, True, 11.0)
    assert backend.since == 10.0
    health.evidence(backend, RULES, EJECT, 12.5)
    assert backend.since == 12.5


def test_errors_and_ejections_are_counted() -> None:
    backend = backend_in(UP)
    for reason in (NOTHING, SUSPECT, ERROR, EJECT, EJECT):
        health.evidence(backend, RULES, reason, 0.0)
    assert (backend.errors, backend.ejections) == (3, 1)


def test_a_new_backend_that_goes_down_was_not_ejected_from_anywhere() -> None:
    backend = backend_in(NEW)
    assert health.probe(backend, Rules(fall=1), False, 0.0) is Change.EJECT
    assert backend.ejections == 0


@pytest.mark.parametrize("reason", reasons.TABLE.values(), ids=repr)
def test_every_reason_does_to_an_up_backend_what_its_row_says(reason: reasons.Reason) -> None:
    expected = {
        reasons.Counts.NOTHING: None,
        reasons.Counts.SUSPECT: Change.SUSPECT,
        reasons.Counts.ERROR: None,
        reasons.Counts.EJECT: Change.EJECT,
    }
    assert health.evidence(backend_in(UP), RULES, reason, 0.0) is expected[reason.counts]
