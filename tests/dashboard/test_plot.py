from __future__ import annotations

import re
from xml.etree import ElementTree

from lbproxy.dashboard.plot import MINUTES, errors, latency, requests


def points(svg: str, name: str) -> str:
    found = re.search(rf'class="{name}" d="([^"]*)"', svg)
    assert found
    return found[1]


def test_a_line_has_a_gap_where_there_was_no_answer() -> None:
    svg = str(latency([0.1, None, 0.2, 0.2], [0.4, None, 0.2, 0.4]))
    assert points(svg, "p99") == "M56 2.0L57 2.0M58 21.0L59 2.0"
    assert ElementTree.fromstring(svg).get("aria-label") == "p99 in the last hour: 200 ms to 400 ms, last 400 ms"


def test_bars_are_parts_of_the_answers() -> None:
    svg = str(errors([10, 0, 20], [5, 0, 0]))
    assert svg.count("<rect") == 1
    assert 'x="57"' in svg
    assert "5xx in the last hour: 5, at most 50% of the answers of a minute" in svg
    assert "at most 2.0, last 0.5" in str(requests([120, 30]))


def test_nothing_is_said_in_words_too() -> None:
    assert "No answer in the last hour" in latency([None], [None])
    assert "No 5xx in the last hour" in errors([3], [0])
    assert "No answer in the last hour" in requests([0])


def test_only_the_last_hour_is_drawn_and_nothing_has_a_style() -> None:
    svg = str(requests([1] * 200))
    assert svg.count("<rect") == MINUTES
    assert "style" not in svg, "the Content-Security-Policy refuses it"
    assert latency([0.0], [0.0]).count("<path") == 2
