from __future__ import annotations

from datetime import datetime

import pytest

from lbproxy.control.snapshot import WaitingOrderView
from lbproxy.control.wording import discovery, duration, refusals, said, share, title, waiting_order
from tests.control.sample import backend, discovered_pool, snapshot


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


def test_files_that_cannot_be_used_are_told_with_their_time() -> None:
    why = "/etc/lbproxy/login.key cannot be used with /etc/lbproxy/login.pem: KEY_VALUES_MISMATCH"
    bad = snapshot() | {"tls_files": [{"where": "listener.login.tls", "refused": {"why": why, "since": 1000.0}}]}
    assert refusals(snapshot(), 1200.0) == []
    assert refusals(bad, 1200.0) == [f"listener.login.tls, for 3m 20s: {why}; what was read before is in use"]


def test_what_operators_said_has_who_and_when() -> None:
    noon = datetime(2026, 11, 21, 12, 3).timestamp()
    one = backend("c1") | {
        "weight": 3,
        "draining": True,
        "added": {"by": "root", "at": noon},
        "ordered": {
            "weight": {"by": "olga", "at": noon + 120},
            "standby": {"by": "olga", "at": noon + 180},
            "drain": {"by": "admin", "at": noon + 240},
        },
    }
    assert said(one, noon + 3600) == (
        "added at 12:03 by root; weight 3 since 12:05 by olga; no standby since 12:06 by olga;"
        " draining since 12:07 by admin"
    )
    assert said(one | {"ordered": {}}, noon + 86400) == "added at 2026-11-21 12:03 by root"
    assert said(backend("c1"), noon) == ""


def test_says_what_waits_for_a_backend() -> None:
    noon = datetime(2026, 11, 21, 12, 3).timestamp()
    one: WaitingOrderView = {
        "name": "c9",
        "draining": True,
        "weight": None,
        "standby": False,
        "ordered": {"drain": {"by": "root", "at": noon}, "standby": {"by": "olga", "at": noon + 60}},
    }
    assert waiting_order(one, noon + 3600) == (
        "no backend is called c9; ordered for it: draining since 12:03 by root; no standby since 12:04 by olga"
    )
    of_an_older_version = one | {"standby": None, "ordered": {"drain": {"by": "", "at": 0.0}}}
    assert waiting_order(of_an_older_version, noon) == "no backend is called c9; ordered for it: draining"


def test_what_is_known_of_sources() -> None:
    sound, failing = discovered_pool("p")["discovery"]
    assert list(discovery(sound)) == [
        "discovery dns (A, AAAA connectors.test. port 4000): 2 backends, answered 3s ago; the answer is empty;"
        " it counts after 30 s",
        "left out: x.test:80: x.test has no address",
    ]
    assert list(discovery(failing)) == [
        "discovery file-list (/etc/lbproxy/backends.json): 1 backends, failing for 1m 3s: /etc/lbproxy/backends.json:"
        " it is not JSON"
    ]
    failing["error"] = None
    assert list(discovery(failing)) == ["discovery file-list (/etc/lbproxy/backends.json): 1 backends, no answer yet"]
