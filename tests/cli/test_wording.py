from __future__ import annotations

import pytest

from lbproxy.cli.wording import colour, duration, refusals, share, state, title
from tests.control.sample import backend, dead_backend, new_backend, snapshot


def test_the_title_has_the_process_id_that_signals_go_to() -> None:
    assert title(snapshot()) == "https://login.corp.example: serving, lbproxy 0.1.0, pid 4711, up 2h 5m"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.9, "0s"),
        (59.9, "59s"),
        (60, "1m 0s"),
        (3599, "59m 59s"),
        (3600, "1h 0m"),
        (86399, "23h 59m"),
        (90000, "1d 1h"),
        (31536000, "365d 0h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_shares() -> None:
    assert (share(backend("c1"), 30), share(backend("c1"), 0)) == ("33.3%", "-")


def test_states_and_their_colours() -> None:
    drained = backend("c1") | {"draining": True}
    assert [colour(one) for one in (backend("c1"), dead_backend("c2"), new_backend("c3"), drained)] == [
        "green", "red", "yellow", "yellow",
    ]  # fmt: skip
    slow = state(drained | {"ramp": 0.25})
    assert (slow.plain, slow.style) == ("up, draining, slow start 25%", "yellow")


def test_files_that_cannot_be_used_are_told_with_their_time() -> None:
    why = "/etc/lbproxy/login.key cannot be used with /etc/lbproxy/login.pem: KEY_VALUES_MISMATCH"
    bad = snapshot() | {"tls_files": [{"where": "listener.login.tls", "refused": {"why": why, "since": 1000.0}}]}
    assert refusals(snapshot(), 1200.0) == []
    assert refusals(bad, 1200.0) == [f"listener.login.tls, for 3m 20s: {why}; what was read before is in use"]
