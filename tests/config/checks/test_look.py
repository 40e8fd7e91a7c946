from __future__ import annotations

import pytest

from lbproxy.config.checks.look import backend_values, is_url, mints, table, without_meaning


def test_a_table_that_is_none() -> None:
    assert table({"tls": {"a": 1}}, "tls") == {"a": 1}
    assert table({"tls": 1}, "tls") == table({}, "tls") == {}


def test_values_of_backends_are_those_that_are_strings() -> None:
    pool = {"backends": [{"name": "c1"}, {"name": 2}, "c3", {"url": "http://c4"}]}
    assert list(backend_values("p", pool, "name")) == [(("pool", "p", "backends", 0, "name"), "c1")]
    assert list(backend_values("p", {"backends": {}}, "name")) == []


@pytest.mark.parametrize(
    ("tls", "found"),
    [
        ({"client_certificate": "optional", "client_identity": "mint"}, True),
        ({"client_certificate": "none", "client_identity": "mint"}, False),
        ({"client_identity": "mint"}, False),
        ({"client_certificate": "required", "client_identity": "xfcc"}, False),
    ],
)
def test_listeners_that_mint(tls: dict[str, str], found: bool) -> None:
    assert mints({"tls": tls}) is found


@pytest.mark.parametrize(("url", "found"), [("tcp://a", True), ("TCP://a", True), ("http://a", False), ("tcp", True)])
def test_schemes(url: str, found: bool) -> None:
    assert is_url(url, "tcp", "udp") is found


def test_keys_without_meaning() -> None:
    where = ("pool", "p", "check")
    found = without_meaning(where, {"path": "/", "rise": 1}, ("url", "path"), 'with kind = "tcp"')
    assert [str(problem) for problem in found] == ['pool.p.check.path: has no meaning with kind = "tcp"']
