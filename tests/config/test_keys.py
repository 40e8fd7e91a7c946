from __future__ import annotations

import pytest

from lbproxy.config.keys import Location, full_name, subtables, walk


@pytest.mark.parametrize(
    ("location", "name"),
    [
        (("server_url",), "server_url"),
        (("listener", "login", "tls", "key"), "listener.login.tls.key"),
        (("pool", "connectors", "backends", 1, "url"), "pool.connectors.backends[1].url"),
        (("listener", "a.b", "bind"), 'listener."a.b".bind'),
        (("listener", 'a"b'), r'listener."a\"b"'),
        (("",), '""'),
    ],
)
def test_full_name_is_toml(location: Location, name: str) -> None:
    assert full_name(location) == name


def test_walk_visits_tables_lists_and_values() -> None:
    assert list(walk({"a": {"b": [1, {"c": 2}]}})) == [
        (("a",), {"b": [1, {"c": 2}]}),
        (("a", "b"), [1, {"c": 2}]),
        (("a", "b", 0), 1),
        (("a", "b", 1), {"c": 2}),
        (("a", "b", 1, "c"), 2),
    ]


def test_subtables_pass_over_what_is_no_table() -> None:
    assert list(subtables({"pool": {"a": {"x": 1}, "b": 2}}, "pool")) == [("a", {"x": 1})]
    assert list(subtables({"pool": 3}, "pool")) == []
    assert list(subtables({}, "pool")) == []
