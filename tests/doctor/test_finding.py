from __future__ import annotations

from lbproxy.doctor.finding import Outcome, UnseenError, problem, unseen


def test_is_the_whole_of_what_is_said() -> None:
    found = problem("it burns", "users get warm", "water", "c1")
    assert found == (Outcome.PROBLEM, "it burns", "users get warm", "water", "c1")


def test_what_cannot_be_seen_is_a_finding_with_its_reason() -> None:
    assert UnseenError("no rights", "as root").finding() == unseen("no rights", "as root")
