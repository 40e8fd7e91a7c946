from __future__ import annotations

from lbproxy.doctor.balancer.browsers import policies
from lbproxy.doctor.finding import Outcome
from tests.doctor.conftest import Looking
from tests.doctor.looking import only


def test_the_policies_name_the_server(look: Looking) -> None:
    found = {one.subject: one.found for one in policies(look(url="https://login.corp.example"))}
    assert found["Chrome, Edge"] == 'to set: policy AuthServerAllowlist = "login.corp.example"'
    assert "https://login.corp.example" in found["Firefox"]


def test_there_are_no_tickets_for_addresses(look: Looking) -> None:
    for url in ("http://127.0.0.1:8080", "http://[::1]:8080"):
        assert only(policies(look(url=url))).outcome is Outcome.PROBLEM
