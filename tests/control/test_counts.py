from __future__ import annotations

from typing import Annotated, TypedDict

from lbproxy.control.counts import OF_ONE, BackendCounts, Count, ListenerCounts, declared
from lbproxy.control.snapshot import BackendView, ListenerView


def test_every_number_of_a_listener_and_of_a_backend_has_a_metric() -> None:
    for counts in (ListenerCounts, BackendCounts):
        assert declared(counts).keys() == counts.__annotations__.keys()


def test_the_status_has_every_number() -> None:
    assert declared(BackendCounts).items() <= declared(BackendView).items()
    assert declared(ListenerCounts).items() <= declared(ListenerView).items()


def test_numbers_that_share_a_metric_are_its_parts() -> None:
    for counts in OF_ONE:
        by_metric: dict[str, list[Count]] = {}
        for count in declared(counts).values():
            by_metric.setdefault(count.metric, []).append(count)
        for numbers in by_metric.values():
            assert len({(one.help, one.label, one.is_open) for one in numbers}) == 1
            assert len({one.part for one in numbers}) == len(numbers)
            assert all(one.label for one in numbers) or len(numbers) == 1


def test_what_only_grows_is_a_counter() -> None:
    for counts in OF_ONE:
        for count in declared(counts).values():
            assert count.metric.endswith("_total") == (not count.is_open and not count.is_histogram)


def test_what_is_no_number_is_left_out() -> None:
    class Some(TypedDict):
        name: str
        seen: Annotated[int, "seen", Count("seen_total", "Times that it was seen")]

    assert declared(Some) == {"seen": Count("seen_total", "Times that it was seen")}
