"""What a run's logins say together, in the terminal and as a page."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import pytest
from rich.console import Console

from bench.logins.figures import Waits, figures, slices
from bench.logins.login import Login
from bench.logins.page import html
from bench.logins.report import as_json, heading, tables
from bench.logins.run import Run


def login(due: float, took: float, instance: str = "c1", failure: str = "", crossed: bool = False) -> Login:
    steps = {"connect": [took / 2], "login": [took]}
    return Login(due, "ann", steps, instance, 1, failure, crossed)


RUN = Run(
    [
        *(login(number / 10, 0.1, f"c{number % 2 + 1}") for number in range(18)),
        login(1.9, 0.3, failure="502 to the sign-in"),
        login(2.0, 0.9, failure="answered as <another> user", crossed=True),
    ],
    seconds=3.0,
    cpu=0.9,
    late=4,
)


def text(run: Run) -> str:
    console = Console(width=120)
    with console.capture() as captured:
        console.print(heading(figures(run), "what"), *tables(figures(run)))
    return captured.get()


@pytest.mark.parametrize("count", [1, 2, 100, 101])
def test_percentiles_are_waits_that_were_seen(count: int) -> None:
    seconds = [float(number) for number in range(1, count + 1)]
    waits = Waits.of(seconds[::-1])
    assert {waits.p50, waits.p90, waits.p99, waits.longest} <= set(seconds)
    assert sum(second <= waits.p99 for second in seconds) >= 0.99 * count
    assert waits.longest == count


def test_nothing_is_said_of_nothing() -> None:
    assert figures(Run()).steps == {}
    assert slices(Run()) == []
    assert "0 of 0 logins succeeded" in text(Run())
    assert "<svg" not in html(figures(Run()), [], "what")


def test_figures_are_of_logins_that_succeeded() -> None:
    them = figures(RUN)
    assert (them.logins, them.failed, them.crossed, them.late, them.rate) == (20, 2, 1, 4, 6.0)
    assert {name: waits.count for name, waits in them.instances.items()} == {"c1": 9, "c2": 9}
    assert them.steps["login"].longest == pytest.approx(0.1)
    assert them.failures == {"502 to the sign-in": 1, "answered as <another> user": 1}
    assert json.loads(as_json(them, "what", "--url x"))["steps"]["login"]["count"] == 18


def test_slices_are_by_when_logins_ended() -> None:
    assert [(part.start, part.good, part.failed) for part in slices(RUN)] == [(0, 9, 0), (1, 9, 0), (2, 0, 2)]


def test_the_worst_is_said_first() -> None:
    told = text(RUN)
    assert "18 of 20 logins succeeded in 3.0 s: 6.0 a second" in told
    assert "ANSWERED AS ANOTHER USER: 1" in told
    assert "4 more were due" in told
    assert "busy at 90%" in told
    assert "50.00%" in told


class Reading(HTMLParser):
    """Finds what is wrong with the nesting of a page, and what it would load."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [str(value) for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta",):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_loads_nothing_and_escapes_everything() -> None:
    page = html(figures(RUN), slices(RUN), "https://login.test/?a=<b>")
    reading = Reading()
    reading.feed(page)
    assert (reading.open, reading.loads) == ([], [])
    assert "?a=&lt;b&gt;" in page
    assert "as &lt;another&gt; user" in page
    assert page.count("<svg") == 2
