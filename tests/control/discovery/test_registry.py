from __future__ import annotations

import json

import pytest

from lbproxy.balance.member import Member
from lbproxy.control.discovery import registry
from lbproxy.control.discovery.registry import Acknowledgement, Connector

CONNECTOR = Connector("http://10.0.0.11:4000", {"version": "1.8.0"}, "pid 7 on c1", "ab12", 1.5)


def test_the_keys() -> None:
    assert registry.connectors("eu", "login") == "/lbproxy/eu/pools/login/connectors/"
    assert registry.balancers("eu", "login") == "/lbproxy/eu/pools/login/balancers/"


def test_there_and_back() -> None:
    assert json.loads(CONNECTOR.encode())["format"] == 1
    assert Connector.decode(CONNECTOR.encode()) == CONNECTOR
    seen = Acknowledgement(7, {"c1": 2})
    assert Acknowledgement.decode(seen.encode()) == seen


def test_what_a_newer_version_added_is_left_out() -> None:
    told = json.loads(CONNECTOR.encode()) | {"region": "eu"}
    assert Connector.decode(json.dumps(told).encode()) == CONNECTOR


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (b"\xff", "codec can't decode"),
        (b"{", "Expecting"),
        (b"[]", "not a JSON object"),
        (b'{"url": "http://c1:4000"}', "format None, where 1 is known"),
        (b'{"format": 2, "url": "http://c1:4000"}', "format 2, where 1 is known"),
        (b'{"format": 1}', "a field is missing"),
        (b'{"format": 1, "url": 7}', "url, by and id are strings"),
        (b'{"format": 1, "url": "http://c1:4000", "facts": {"version": 1}}', "facts are strings by name"),
        (
            b'{"format": 1, "url": "http://c1:4000", "state": "asleep"}',
            "state 'asleep', where serving, out, leaving are",
        ),
        (b'{"format": 1, "url": "http://c1:4000", "state": ["out"]}', "state \\['out'\\], where"),
    ],
)
def test_a_value_that_is_no_connector(value: bytes, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Connector.decode(value)


@pytest.mark.parametrize(
    "value", [b'{"format": 1, "revision": "x"}', b'{"format": 1, "revision": 1, "left": {"c1": "x"}}']
)
def test_a_value_that_is_no_acknowledgement(value: bytes) -> None:
    with pytest.raises(ValueError, match=r"revision is a number|left has numbers"):
        Acknowledgement.decode(value)


def test_members() -> None:
    assert CONNECTOR.member("c1") == Member("c1", "http://10.0.0.11:4000")
    with pytest.raises(ValueError, match="c1: "):
        Connector("gopher://c1").member("c1")


def test_what_a_balancer_is_waited_for() -> None:
    assert Acknowledgement(6).waits_for("c1", 7) == "has not seen it leave"
    assert Acknowledgement(7, {"c1": 2}).waits_for("c1", 7) == "has 2 to finish"
    assert Acknowledgement(7, {"c2": 2}).waits_for("c1", 7) == ""
