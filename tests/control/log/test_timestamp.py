from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from lbproxy.control.log.timestamp import timestamp


def test_reads_as_documented() -> None:
    assert timestamp(1795246800.1234) == "2026-11-21T07:40:00.123Z"


def test_a_second_that_rounds_up_carries() -> None:
    assert timestamp(1795246799.9996) == "2026-11-21T07:40:00.000Z"


@given(st.integers(0, 4_000_000_000_000))
def test_parses_back_to_the_same_millisecond(milliseconds: int) -> None:
    text = timestamp(milliseconds / 1000)
    assert datetime.fromisoformat(text) == datetime.fromtimestamp(milliseconds // 1000, UTC).replace(
        microsecond=milliseconds % 1000 * 1000
    )
