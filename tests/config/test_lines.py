from __future__ import annotations

import json
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.config.keys import full_name, walk
from lbproxy.config.lines import Lines
from lbproxy.errors import Problem

FILE = '''\
# a comment with [brackets] = "and
server_url = "https://login.corp.example"   # [x]

[listener.login]
bind = "0.0.0.0:443"
tls = { certificate = "a", key = "b" }
  [ listener . "a b" ]
  'bind' = """
x = [1,
\\""""""
deny_paths = [
  "/a",  # ]
  "/b", '/c'
]
[pool.connectors]
backends = [
  { name = "c1", url = "http://10.0.0.11:4000" },

  { name = "c2", url = "x" },
]
check.expect = [200, 1.5, 1979-05-27 07:32:00]
check.kind = "tcp"
[[many]]
a = 1
[[many]]
[many.b]
c = \'\'\'
]\'\'\'\'
d = ""
'''


@pytest.mark.parametrize(
    ("where", "line"),
    [
        ("server_url", 2),
        ("listener.login", 4),
        ("listener.login.bind", 5),
        ("listener.login.tls", 6),
        ("listener.login.tls.key", 6),
        ('listener."a b"', 7),
        ('listener."a b".bind', 8),
        ('listener."a b".deny_paths', 11),
        ('listener."a b".deny_paths[0]', 12),
        ('listener."a b".deny_paths[2]', 13),
        ("pool.connectors.backends", 16),
        ("pool.connectors.backends[0].url", 17),
        ("pool.connectors.backends[1]", 19),
        ("pool.connectors.backends[1].url", 19),
        ("pool.connectors.check", 21),
        ("pool.connectors.check.expect[2]", 21),
        ("pool.connectors.check.kind", 22),
        ("many[0].a", 24),
        ("many[1]", 25),
        ("many[1].b.c", 27),
        ("many[1].b.d", 29),
    ],
)
def test_finds_the_line_of_every_key(where: str, line: int) -> None:
    tomllib.loads(FILE)
    assert Lines(FILE).of(where) == line


def test_a_key_that_is_missing_is_where_its_table_is() -> None:
    lines = Lines(FILE)
    assert lines.of("listener.login.pool") == 4
    assert lines.of("pool.connectors.backends[1].weight") == 19
    assert lines.of("pool.connectors.backends[7]") == 16
    assert lines.of("workers") is None
    assert Lines().of("server_url") is None


def test_what_is_left_out_is_not_counted() -> None:
    lines = Lines("a = [\n'x',\n{ b = 1 },\n'y',\n{ b = 2 },\n]", [("a", 2), ("a", 0)])
    assert [lines.of(where) for where in ("a[0].b", "a[1]", "a[1].b", "a[2]")] == [3, 5, 5, 1]


def test_puts_lines_to_problems() -> None:
    [first, second] = Lines("\na = 1").located([Problem("a", "wrong"), Problem("b", "missing")])
    assert (first.line, second.line) == (2, None)


NAMES = st.text("ab.[]{}=#\"'\\ \té\n", min_size=1, max_size=4)
STRINGS = st.text("ab[]{},=#\"'\\ \n.", max_size=8)
VALUES = st.recursive(
    STRINGS | st.integers(-9, 9) | st.booleans() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


def toml(value: object) -> str:
    """`value` as TOML: JSON's strings are among TOML's."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {toml(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ",\n".join(map(toml, value)) + "]"
    return json.dumps(value)


@given(st.dictionaries(NAMES, VALUES, max_size=3))
def test_it_finds_all_that_tomllib_finds(document: dict[str, object]) -> None:
    text = "\n# [\n".join(f"{json.dumps(key)} = {toml(value)} # '" for key, value in document.items())
    lines = Lines(text)
    assert tomllib.loads(text) == document
    for location, _ in walk(document):
        line = lines.of(full_name(location))
        assert line is not None
        key = location[-1]
        assert not isinstance(key, str) or json.dumps(key) in text.splitlines()[line - 1]
    assert set(lines._by_name) == {full_name(location) for location, _ in walk(document)}
