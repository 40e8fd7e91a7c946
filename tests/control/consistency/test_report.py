from __future__ import annotations

import logging
from collections.abc import Mapping

import pytest

from lbproxy.balance.consistency import Verdict, judge
from lbproxy.control.consistency.reading import Reading
from lbproxy.control.consistency.report import tell_differences, tell_rotation, tell_trouble
from lbproxy.control.log import LineFormatter


class Log:
    """What has been logged since the last `new`, formatted, without the time."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog

    def new(self) -> list[str]:
        lines = [LineFormatter().format(record).partition(" ")[2] for record in self._caplog.records]
        self._caplog.clear()
        return lines


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Log:
    caplog.set_level(logging.INFO)
    return Log(caplog)


def verdict(version: Mapping[str, str | None], expected: str | None = None) -> Verdict:
    return judge({"version": version}, {"version": expected} if expected else {}, "warn", version.keys())


def test_a_difference_is_told_when_it_is_new_and_when_it_is_over(log: Log) -> None:
    alike, differing = verdict({"a": "2", "b": "2", "c": "2"}), verdict({"a": "2", "b": "2", "c": "1"})
    tell_differences("p", alike, differing)
    assert log.new() == ['WARNING facts_differ pool=p fact=version backends=c detail="version: 2 on a, b; 1 on c"']
    tell_differences("p", differing, differing)
    tell_differences("p", alike, alike)
    assert log.new() == []
    tell_differences("p", differing, alike)
    assert log.new() == ["INFO facts_agree pool=p fact=version"]


def test_a_difference_that_changes_is_told_again(log: Log) -> None:
    one = verdict({"a": "2", "b": "2", "c": "1"})
    tell_differences("p", one, verdict({"a": "2", "b": "2", "c": "3"}))
    tell_differences("p", one, verdict({"a": "2", "b": "1", "c": "1"}))
    assert [line.partition("detail=")[2] for line in log.new()] == [
        '"version: 2 on a, b; 3 on c"',
        '"version: 2 on a; 1 on b, c"',
    ]


def test_one_more_that_is_right_is_no_news(log: Log) -> None:
    tell_differences("p", verdict({"a": "2", "b": "2", "c": "1"}), verdict(dict.fromkeys("abd", "2") | {"c": "1"}))
    assert log.new() == []


def test_what_is_expected_is_said(log: Log) -> None:
    tell_differences("p", Verdict(), verdict({"a": "2", "b": "1"}, expected="2"))
    assert log.new() == [
        'WARNING facts_differ pool=p fact=version backends=b expected=2 detail="version: 2 on a; 1 on b"'
    ]


def test_who_leaves_and_who_is_back(log: Log) -> None:
    tell_rotation("p", {"a": "old", "b": "version is 1"}, {"b": "version is 0", "c": "version is 1, most have 2"})
    assert log.new() == [
        'WARNING backend_ejected pool=p backend=c reason=consistency detail="version is 1, most have 2"',
        "INFO backend_readmitted pool=p backend=a reason=consistency",
    ]


def test_what_cannot_be_read_is_told_once(log: Log) -> None:
    refused, hanging = Reading(None, "connection refused"), Reading("1.8.0", "no answer within 1 s")
    tell_trouble("p", "a", {}, {"version": refused, "address": Reading("x")})
    tell_trouble("p", "a", {"version": refused}, {"version": refused})
    tell_trouble("p", "a", {"version": refused}, {"version": hanging})
    tell_trouble("p", "a", {"version": hanging}, {"version": Reading("1.8.0")})
    assert log.new() == [
        'WARNING fact_unknown pool=p backend=a fact=version detail="connection refused"',
        'WARNING fact_unknown pool=p backend=a fact=version detail="no answer within 1 s"',
    ]
