"""How soon a generation that died is replaced."""

from __future__ import annotations

from lbproxy.process.setbacks import LONGEST, WINDOW, Setbacks


def test_the_first_death_is_an_accident_and_the_next_ones_wait() -> None:
    setbacks = Setbacks()
    assert [setbacks.happened(100.0 + step) for step in range(5)] == [(1, 0), (2, 1), (3, 2), (4, 4), (5, 8)]
    for _ in range(5):
        last = setbacks.happened(110.0)
    assert last == (10, LONGEST)


def test_old_deaths_are_forgotten() -> None:
    setbacks = Setbacks()
    setbacks.happened(0.0)
    assert setbacks.happened(WINDOW) == (1, 0)
    assert "1 setbacks" in repr(setbacks)
