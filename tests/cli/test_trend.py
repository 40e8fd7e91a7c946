from __future__ import annotations

import pytest

from lbproxy.cli.trend import LENGTH, Trend, sparkline
from tests.control.sample import backend, pool, snapshot


@pytest.mark.parametrize(
    ("values", "shown"),
    [([], ""), ([0, 0], "▁▁"), ([1, 2, 4, 8], "▂▃▅█"), ([None, 5.0], " █"), ([None], " "), ([0.001] * 3, "███")],
)
def test_a_sparkline(values: list[float | None], shown: str) -> None:
    assert sparkline(values) == shown


def test_it_keeps_the_last_seconds() -> None:
    trend = Trend()
    for second in range(30):
        web = pool("web", backend("c1") | {"requests": 5 * second})
        trend.note(snapshot() | {"pools": [web], "uptime_seconds": float(second)})
        if second == 0:
            assert trend.of_pool(web) == ""
    assert trend.of_pool(web) == "█" * LENGTH + " 5/s"
    assert trend.of_backend(web, web["backends"][0]) == " " * LENGTH


def test_a_backend_that_has_left_is_forgotten_and_one_that_begins_anew_is_no_flood() -> None:
    trend = Trend()
    web = pool("web", backend("c1"), backend("c2"))
    trend.note(snapshot() | {"pools": [web], "uptime_seconds": 1.0})
    web = pool("web", backend("c1") | {"requests": 3, "first_byte": {"below": {}, "sum": 0.0}})
    trend.note(snapshot() | {"pools": [web], "uptime_seconds": 2.0})
    assert repr(trend) == "<trend of 1 backends>"
    assert trend.of_pool(web) == ""
