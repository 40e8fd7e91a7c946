from __future__ import annotations

from lbproxy.control.probes.kerberos.backoff import LONGEST, LONGEST_SILENCE, RETRY, Backoff


def waits(backoff: Backoff, count: int, longest: float = LONGEST) -> list[float]:
    found = []
    for _ in range(count):
        backoff.failed(1000.0, longest)
        found.append(backoff.again - 1000.0)
    return found


def test_waits_grow_to_minutes() -> None:
    assert waits(Backoff(), 8) == [RETRY, 10.0, 20.0, 40.0, 80.0, 160.0, LONGEST, LONGEST]
    assert waits(Backoff(), 6, LONGEST_SILENCE) == [RETRY, 10.0, 20.0, 40.0, LONGEST_SILENCE, LONGEST_SILENCE]


def test_success_forgets() -> None:
    backoff = Backoff()
    waits(backoff, 3)
    backoff.over()
    assert backoff.again == 0.0
    assert waits(backoff, 1) == [RETRY]


def test_the_next_process_goes_on() -> None:
    one, other = Backoff(), Backoff()
    waits(one, 3)
    other.remember(one.memory())
    assert other.again == one.again
    assert waits(other, 1) == [40.0]
