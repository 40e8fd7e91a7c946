import pytest

from bench.failure.figures import Window, before_the_fault, ejected, figures, percentile, readmitted
from bench.failure.traffic import OK, Record

WINDOW = Window(begin=10.0, end=13.0, last=20.0)
REGULAR = [9.99, 10.0, 10.01, 10.02]
"""What is sent to a victim until it is ejected."""


def record(number: int, end: str = OK, due: float = 11.0, took: float = 0.02) -> Record:
    return Record(number, "POST" if number % 4 == 0 else "GET", due, took, end)


def test_counts_requests_and_how_they_failed() -> None:
    records = [record(0), record(4, "reset"), record(1), record(2, "502"), record(3, "502")]
    found = figures(records, [[0, 1, 4], [2]], WINDOW, None)
    assert (found.gets, found.gets_failed, found.posts, found.posts_failed) == (3, 2, 2, 1)
    assert found.kinds == {"POST reset": 1, "GET 502": 2}


def test_a_failed_post_was_reached_if_any_journal_has_it() -> None:
    records = [record(0, "502"), record(4, "502"), record(8)]
    assert figures(records, [[0], [], [8]], WINDOW, None).posts_unreached == 1


def test_a_post_ran_twice_if_it_is_twice_in_the_journals_whatever_the_user_got() -> None:
    records = [record(0, "502"), record(4), record(8), record(1)]
    assert figures(records, [[0, 4, 4], [0, 8, 1], [1]], WINDOW, None).posts_twice == 2


def test_latencies_are_of_the_gets_during_the_fault() -> None:
    records = [record(n * 4 + 1, due=10 + n / 100, took=n) for n in range(100)]
    outside = [record(1, due=9.9, took=500.0), record(5, due=13.0, took=500.0), record(0, due=11.0, took=500.0)]
    found = figures(records + outside, [], WINDOW, None)
    assert (found.p50, found.p99) == (49, 98)


@pytest.mark.parametrize(("percent", "value"), [(0, 1), (50, 2), (75, 3), (76, 4), (100, 4)])
def test_percentiles(percent: float, value: float) -> None:
    assert percentile([1, 2, 3, 4], percent) == value


def test_nothing_has_no_percentile() -> None:
    assert percentile([], 99) == 0


@pytest.mark.parametrize(
    ("seen", "after"),
    [
        (REGULAR, 0.02),
        ([*REGULAR, 11.0, 12.0], 0.02),  # one request that tries whether it is back
        ([9.99], 0.0),  # the last one before the fault
        ([], 0.0),
        ([10 + n / 10 for n in range(12)], 1.1),
    ],
)
def test_ejected_is_the_last_attempt_before_a_pause(seen: list[float], after: float) -> None:
    assert ejected(seen, WINDOW) == pytest.approx(after)


def test_never_ejected() -> None:
    assert ejected([9 + n / 10 for n in range(60)], WINDOW) is None
    found = figures([record(0)], [], WINDOW, [9 + n / 10 for n in range(60)])
    assert (found.eject, found.readmit, found.watched) == (None, None, True)


def test_readmitted_is_the_first_attempt_after_the_recovery() -> None:
    assert readmitted([10.0, 12.5, 13.5, 14.0], WINDOW) == 0.5
    assert readmitted([10.0, 21.0], WINDOW) is None
    found = figures([record(0)], [], WINDOW, [*REGULAR, 13.5])
    assert found.eject == pytest.approx(0.02)
    assert found.readmit == 0.5


def test_without_a_watch_nothing_is_said_of_rotation() -> None:
    found = figures([record(0)], [], WINDOW, None)
    assert (found.eject, found.readmit, found.watched) == (None, None, False)


def test_what_fails_before_the_fault_is_found() -> None:
    early, late = record(0, "502", due=9.0), record(4, "502", due=9.99, took=0.02)
    assert before_the_fault([early, late, record(1, due=9.0)], WINDOW) == [early]
