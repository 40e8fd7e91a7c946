"""How soon a generation that died is replaced."""

from __future__ import annotations

from lbproxy.process.ipc.restart_backoff import LONGEST, WINDOW, RestartBackoff


def test_the_first_death_is_an_accident_and_the_next_ones_wait() -> None:
    restart_backoff = RestartBackoff()
    assert [restart_backoff.happened(100.0 + step) for step in range(5)] == [(1, 0), (2, 1), (3, 2), (4, 4), (5, 8)]
    for _ in range(5):
        last = restart_backoff.happened(110.0)
    assert last == (10, LONGEST)


def test_old_deaths_are_forgotten() -> None:
    restart_backoff = RestartBackoff()
    restart_backoff.happened(0.0)
    assert restart_backoff.happened(WINDOW) == (1, 0)
    assert "1 restart_backoff" in repr(restart_backoff)
