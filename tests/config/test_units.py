from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.config.units import duration, duration_between, percentage, size, size_between


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("2s", 2.0), ("1.5s", 1.5), ("10m", 600.0), ("1h", 3600.0), ("1d", 86400.0), ("0s", 0.0)],
)
def test_duration(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@given(st.integers(0, 10**9), st.sampled_from([("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)]))
def test_any_whole_duration_round_trips(number: int, unit: tuple[str, int]) -> None:
    name, milliseconds = unit
    assert round(duration(f"{number}{name}") * 1000) == number * milliseconds


@pytest.mark.parametrize("value", ["", "12", "s", "-1s", "2 s", "2S", "1h30m", "1e3s", ".5s", "٣s", 2, 2.0, True, None])
def test_not_a_duration(value: object) -> None:
    with pytest.raises(ValueError, match="is not a duration such as"):
        duration(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, 0), (512, 512), ("512B", 512), ("64KB", 64_000), ("128KiB", 131_072), ("1MB", 10**6), ("1MiB", 2**20)],
)
def test_size(value: object, expected: int) -> None:
    assert size(value) == expected


@given(st.integers(0, 10**12 - 1), st.sampled_from([("B", 1), ("KB", 1000), ("KiB", 2**10), ("MiB", 2**20)]))
def test_any_size_round_trips(number: int, unit: tuple[str, int]) -> None:
    name, factor = unit
    assert size(f"{number}{name}") == size(number * factor) == number * factor


@pytest.mark.parametrize("value", ["", "128", "KiB", "1kib", "1.5MiB", "-1B", "1 KiB", -1, 1.0, True, None])
def test_not_a_size(value: object) -> None:
    with pytest.raises(ValueError, match="is not a size such as"):
        size(value)


def test_size_between_includes_both_ends() -> None:
    read = size_between("1KiB", "1MiB")
    assert (read(1024), read("1MiB")) == (1024, 2**20)


@pytest.mark.parametrize("value", [1023, 2**20 + 1, 0])
def test_size_outside_names_both_ends(value: int) -> None:
    with pytest.raises(ValueError, match=r"^must be between 1KiB and 1MiB$"):
        size_between("1KiB", "1MiB")(value)


def test_duration_between_includes_both_ends() -> None:
    read = duration_between("1m", "24h")
    assert (read("60s"), read("1d")) == (60.0, 86400.0)


@pytest.mark.parametrize("value", ["59s", "24.1h", "0s"])
def test_duration_outside_names_both_ends(value: str) -> None:
    with pytest.raises(ValueError, match=r"^must be between 1m and 24h$"):
        duration_between("1m", "24h")(value)


@pytest.mark.parametrize(
    ("value", "share"), [("20%", 0.2), (20, 0.2), ("0%", 0.0), (0, 0.0), ("100%", 1.0), (100, 1.0), ("12.5%", 0.125)]
)
def test_percentage(value: object, share: float) -> None:
    assert percentage(value) == share


@pytest.mark.parametrize("value", ["", "20", "%", "-1%", -1, 101, "100.1%", 0.2, True, None, [20]])
def test_not_a_percentage(value: object) -> None:
    with pytest.raises(ValueError, match=r'is not a percentage from "0%" to "100%"$'):
        percentage(value)
