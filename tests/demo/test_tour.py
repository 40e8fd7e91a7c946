from __future__ import annotations

from pathlib import Path

import pytest

from lbproxy.demo.children import Child
from lbproxy.demo.stack import DemoStack
from lbproxy.demo.tour import tour


@pytest.fixture
def stack(tmp_path: Path) -> DemoStack:
    """A stack of which nothing runs."""
    stack = DemoStack(tmp_path, 0, kerberos=False, tell=print)
    stack.connectors = [Child(name, ["true"], tmp_path / name, "ready: ") for name in ("c1", "c2", "c3")]
    return stack


def test_without_kerberos_the_requests_are_plain(stack: DemoStack) -> None:
    first = tour(stack)[0]
    assert (first.title, first.command) == ("One request without Kerberos", f"curl {stack.server_url}/users")


def test_with_a_ticket_the_requests_are_kerberos(stack: DemoStack) -> None:
    stack.ticket = {"KRB5_CONFIG": "/x y/krb5.conf"}
    first = tour(stack)[0]
    assert first.title == "One request as alice, with a Kerberos ticket"
    assert first.command == f"curl --negotiate -u : {stack.server_url}/wsfed"


def test_a_user_with_a_certificate_comes_both_ways(stack: DemoStack) -> None:
    minted, passed = [stop.command for stop in tour(stack) if "certificate" in stop.title]
    assert minted == f'curl -E "$DEMO/bob.pem" {stack.server_url}/wsfed'
    assert passed == f'curl -E "$DEMO/bob.pem" {stack.passthrough_url}/wsfed'


def test_only_what_does_not_end_by_itself_is_checked_in_another_form(stack: DemoStack) -> None:
    assert [stop.command for stop in tour(stack) if stop.once] == ["lbproxy dashboard"]


def test_without_its_pages_the_dashboard_is_left_out(stack: DemoStack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lbproxy.demo.tour.find_spec", lambda name: None)
    assert "lbproxy dashboard" not in [stop.command for stop in tour(stack)]


def test_a_second_balancer_is_shown_where_there_is_one(stack: DemoStack) -> None:
    assert "lbproxy fleet" not in [stop.command for stop in tour(stack)]
    stack.second_url = "https://login.corp.example:8445"
    [second] = [stop.command for stop in tour(stack) if "second one" in stop.title]
    assert f"curl {stack.second_url}/users" in second
    assert stack.server_url not in second


def test_probes_that_sign_in_are_shown_with_kerberos_only(stack: DemoStack) -> None:
    assert "lbproxy status --wide" not in [stop.command for stop in tour(stack)]
    stack.ticket = {"KRB5_CONFIG": "/krb5.conf"}
    assert "lbproxy status --wide" in [stop.command for stop in tour(stack)]
