from __future__ import annotations

import re

import pytest

from lbproxy.balance.member import Member
from lbproxy.control.discovery.backend_list import parse_list

WANTED = (Member("c1", "http://10.0.0.1:4000"), Member("c2", "https://10.0.0.2", 3, True))
OBJECTS = b"""[{"name": "c1", "url": "http://10.0.0.1:4000"},
{"name": "c2", "url": "https://10.0.0.2/", "weight": 3, "standby": true}]"""


@pytest.mark.parametrize("content", [OBJECTS, b"\xef\xbb\xbf" + OBJECTS, b'{"backends": ' + OBJECTS + b"}"])
def test_json(content: bytes) -> None:
    assert parse_list(content, toml=False) == WANTED


def test_toml() -> None:
    content = b"""
backends = [
  { name = "c1", url = "http://10.0.0.1:4000" },
  { name = "c2", url = "https://10.0.0.2", weight = 3, standby = true },
]"""
    assert parse_list(content, toml=True) == WANTED
    assert parse_list(b"[[backends]]\nname = 'c1'\nurl = 'http://10.0.0.1:4000'\n", toml=True) == WANTED[:1]


def test_an_empty_list_is_a_list() -> None:
    assert parse_list(b"[]", toml=False) == parse_list(b"backends = []", toml=True) == ()


@pytest.mark.parametrize(
    ("content", "toml", "problem"),
    [
        (b"", False, "it is not JSON: "),
        (OBJECTS[:60], False, "it is not JSON: "),
        (b"backends = [", True, "it is not TOML: "),
        (b"", True, "it has no backends"),
        (b"{}", False, "it has no backends"),
        (b"\xff", False, "byte 0 is not UTF-8"),
        (b"[" * 100_000, False, "too deep"),
        (b'{"backends": {}}', False, "backends must be a list"),
        (b"1", False, "backends must be a list"),
        (b'{"backends": [], "x": 1}', False, "unknown key 'x' beside backends"),
        (b"[1]", False, "backends[0] must be a table with name and url"),
        (b'[{"name": "a"}]', False, "backends[0].url is missing"),
        (b'[{"url": "http://a"}]', False, "backends[0].name is missing"),
        (b'[{"name": 1, "url": "http://a"}]', False, "backends[0].name must be a string"),
        (b'[{"name": "a", "url": "http://a", "weight": true}]', False, "backends[0].weight must be a whole number"),
        (b'[{"name": "a", "url": "http://a", "standby": 1}]', False, "backends[0].standby must be true or false"),
        (b'[{"name": "a", "uri": "http://a"}]', False, "backends[0].uri: unknown key; there are name, url, "),
    ],
)
def test_what_is_no_list(content: bytes, toml: bool, problem: str) -> None:
    with pytest.raises(ValueError, match=re.escape(problem)):
        parse_list(content, toml)
