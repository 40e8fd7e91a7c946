from __future__ import annotations

import sys

import pytest

from lbproxy.dashboard.render import days, make_render, moment
from lbproxy.errors import MissingExtraError


def test_whatever_a_peer_has_named_is_escaped() -> None:
    render = make_render("/x")
    evil = "<script>alert(1)</script>\"'&"
    html = render("message.html", title=evil, lines=[evil], bad=True, back=evil, back_text=evil)
    assert "<script" not in html
    assert html.count("&lt;script&gt;") == 4
    assert "\"'" not in html


def test_moments_and_what_is_left() -> None:
    assert moment(1795262580.9) == "2026-11-21 12:03:00Z"
    assert [days(seconds) for seconds in (-1.0, 0.0, 3600.0, 2 * 86400.0, 83.9 * 86400)] == [
        "ended", "ended", "1 hours", "2 days", "83 days",
    ]  # fmt: skip


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingExtraError, match=r"install lbproxy\[dashboard\]"):
        make_render("")
