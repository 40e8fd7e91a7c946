from __future__ import annotations

import pytest

from lbproxy.control.fleet import keys


def test_there_and_back() -> None:
    assert keys.decode(keys.encode({"a": [1, "é"]})) == {"a": [1, "é"]}


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"format":1,"at":NaN}', "not JSON"),
        (b'{"format":1,"at":-Infinity}', "not JSON"),
        (b"[1]", "not a JSON object"),
        (b"{}", "its format is not 1: a newer lbproxy has written it"),
        (b'{"format":2}', "its format is not 1: a newer lbproxy has written it"),
    ],
)
def test_what_cannot_be_read_says_why(value: bytes, why: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011 # the text is compared
        keys.decode(value)
    assert str(raised.value) == why


def test_what_is_a_time() -> None:
    assert all(map(keys.is_time, (0, 1.5, 1_764_000_000, keys.LAST)))
    assert not any(map(keys.is_time, (None, "1", -1, float("nan"), float("inf"), keys.LAST + 1)))


def test_fleets_are_apart() -> None:
    assert keys.replicas("login") == "/lbproxy/login/replicas/"
    assert not keys.replicas("login-eu").startswith(keys.replicas("login"))
