from __future__ import annotations

import pytest

from lbproxy import reasons
from lbproxy.balance import health
from lbproxy.balance.backend import Backend, State
from lbproxy.balance.health import Change, Rules
from lbproxy.reasons import Counts

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


def test_with_nobody_in_rotation_one_good_probe_is_enough() -> None:
    backend = backend_in(DOWN)
    backend.held_until = 100.0
    assert health.probe(backend, RULES, True, 1.0, rotation_empty=True) is Change.READMIT
    assert (backend.state, backend.held_until) == (UP, 0.0)


def test_who_waits_for_more_than_good_probes_can_be_recalled() -> None:
    backend = backend_in(DOWN)
    backend.held_until = 100.0
    assert health.recall(backend, 1.0) is None
    health.probe(backend, RULES, True, 2.0)
    assert health.recall(backend, 3.0) is Change.READMIT
    assert (backend.state, backend.since, backend.held_until) == (UP, 3.0, 0.0)
    assert health.recall(backend, 4.0) is None
    assert health.recall(backend_in(NEW), 4.0) is None


@pytest.mark.parametrize(
    "reason", [reason for reason in reasons.TABLE.values() if reason.counts is Counts.EJECT], ids=repr
)
def test_what_a_request_may_have_brought_about_makes_the_last_one_a_suspect(reason: reasons.Reason) -> None:
    no_request = reason in (reasons.CONNECT_REFUSED, reasons.CONNECT_TIMEOUT, reasons.CONNECT_FAILED)
    change = health.evidence(backend_in(UP), RULES, reason, 0.0, alone=True)
    assert change is (Change.EJECT if no_request else Change.SUSPECT)


def test_errors_in_a_row_make_the_last_one_a_suspect() -> None:
    backend = backend_in(UP)
    changes = [health.evidence(backend, RULES, ERROR, 0.0, alone=True) for _ in range(4)]
    assert changes == [None, None, Change.SUSPECT, Change.SUSPECT]


@pytest.mark.parametrize("reason", reasons.TABLE.values(), ids=repr)
def test_what_a_client_may_have_brought_about_ejects_nobody(reason: reasons.Reason) -> None:
    """Also a hundred times in a row; and it is not counted, or the next client's first failure would eject."""
    backend = backend_in(UP)
    changes = {health.evidence(backend, RULES, reason, 0.0, ambiguous=True) for _ in range(100)}
    if reason in (reasons.CONNECT_REFUSED, reasons.CONNECT_TIMEOUT, reasons.CONNECT_FAILED):
        assert changes == {Change.EJECT, None}
        return
    assert changes == {None if reason.counts is Counts.NOTHING else Change.SUSPECT}
    assert (backend.state, backend.errors, backend.errors_in_row) == (UP, 0, 0)


FLAPPING = Rules(rise=2, fall=1, interval=2.0, readmit_backoff=60.0)


def ejected_after(backend: Backend, seconds: float) -> float:
    """Readmit `backend`, as soon as that may be, and eject it when it was up for so long; the wait that follows."""
    now = max(backend.since, backend.held_until)
    for _ in range(2):
        health.probe(backend, FLAPPING, True, now)
    assert backend.state is UP
    health.evidence(backend, FLAPPING, EJECT, now + seconds)
    return backend.held_until - backend.since if backend.held_until else 0.0


def test_one_that_flaps_waits_twice_as_long_each_time() -> None:
    backend = backend_in(NEW)
    waits = [ejected_after(backend, seconds) for seconds in (1, 1, 59, 1, 1, 1, 1, 60, 1, 1)]
    assert waits == [0, 8, 16, 32, 60, 60, 60, 0, 8, 16]


def test_while_it_is_held_good_probes_are_counted_and_readmit_nobody() -> None:
    backend = backend_in(NEW)
    ejected_after(backend, 1.0)
    assert ejected_after(backend, 1.0) == 8.0
    for now in (1.0, 3.0, 7.9):
        assert health.probe(backend, FLAPPING, True, backend.since + now) is None
    assert backend.rise_count == 3
    assert health.probe(backend, FLAPPING, True, backend.held_until) is Change.READMIT


def test_its_last_probes_must_be_good_when_the_wait_is_over() -> None:
    backend = backend_in(DOWN)
    backend.held_until = 10.0
    changes = [health.probe(backend, FLAPPING, ok, now) for ok, now in ((True, 8.0), (False, 9.0), (True, 10.0))]
    assert changes == [None, None, None]


@pytest.mark.parametrize("rules", [RULES, Rules(interval=2.0), Rules(interval=2.0, readmit_backoff=1.0)], ids=repr)
def test_none_is_held_without_a_backoff_and_none_longer_than_it(rules: Rules) -> None:
    backend = backend_in(UP)
    backend.ejections = 1
    health.evidence(backend, rules, EJECT, 0.5)
    assert backend.held_until in (0.0, 0.5 + rules.readmit_backoff)


def test_a_restart_in_a_drain_is_no_ejection() -> None:
    backend = backend_in(NEW)
    ejected_after(backend, 1.0)
    backend.draining = True
    assert ejected_after(backend, 1.0) == 0.0
    assert (backend.state, backend.ejections) == (DOWN, 1)


@pytest.mark.parametrize("reason", reasons.TABLE.values(), ids=repr)
def test_every_reason_does_to_an_up_backend_what_its_row_says(reason: reasons.Reason) -> None:
    expected = {
        Counts.NOTHING: None,
        Counts.SUSPECT: Change.SUSPECT,
        Counts.ERROR: None,
        Counts.EJECT: Change.EJECT,
    }
    assert health.evidence(backend_in(UP), RULES, reason, 0.0) is expected[reason.counts]
