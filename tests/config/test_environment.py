from __future__ import annotations

import pytest

from lbproxy.config.environment import expand, leave_out_empty
from lbproxy.config.keys import Location
from lbproxy.errors import Problem

ENVIRON = {"HOST": "c1", "PORT": "4000", "EMPTY": ""}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("http://${HOST}:${PORT}", "http://c1:4000"),
        ("${NONE-default}", "default"),
        ("${NONE-}", ""),
        ("${NONE-a-b c}", "a-b c"),
        ("${HOST-default}", "c1"),
        ("${EMPTY-default}", ""),
        ("$HOST {HOST} $", "$HOST {HOST} $"),
    ],
)
def test_expands_strings(text: str, expected: str) -> None:
    problems: list[Problem] = []
    assert expand(text, ENVIRON, problems) == expected
    assert problems == []


def test_expands_in_tables_and_lists_but_not_in_keys() -> None:
    document = {"${HOST}": ["${HOST}", {"port": "${PORT}"}, 1]}
    assert expand(document, ENVIRON, []) == {"${HOST}": ["c1", {"port": "4000"}, 1]}


def test_an_expanded_value_is_not_expanded_again() -> None:
    assert expand("${A}", {"A": "${B}"}, []) == "${B}"


def test_names_the_key_and_the_variable_that_is_not_set() -> None:
    problems: list[Problem] = []
    document = {"pool": {"a": {"backends": [{"url": "${NONE}"}, {"url": "http://${ALSO}"}]}}}
    assert expand(document, ENVIRON, problems) == document
    assert [str(problem) for problem in problems] == [
        "pool.a.backends[0].url: the environment variable NONE is not set",
        "pool.a.backends[1].url: the environment variable ALSO is not set",
    ]


def test_entries_that_are_empty_by_their_variables_are_left_out() -> None:
    left_out: list[Location] = []
    written = {
        "allow": ["${EMPTY}", "${HOST}", "${NONE-}"],
        "backends": [{"name": "a", "url": "${HOST}"}, {"name": "b", "url": "${EMPTY}"}, {"name": "c"}],
        "nested": [["${EMPTY}"], "x${EMPTY}"],
        "user": "${EMPTY}",
    }
    assert expand(leave_out_empty(written, ENVIRON, left_out), ENVIRON, []) == {
        "allow": ["c1"],
        "backends": [{"name": "a", "url": "c1"}, {"name": "c"}],
        "nested": [[], "x"],
        "user": "",
    }
    assert left_out == [("allow", 0), ("allow", 2), ("backends", 1), ("nested", 0, 0)]


def test_what_is_written_empty_stays() -> None:
    written = {"allow": ["", 0, False], "backends": [{"url": ""}, {"url": 0}, {"url": "${NONE}"}]}
    assert leave_out_empty(written, ENVIRON, []) == written


@pytest.mark.parametrize("text", ["${", "${}", "${1A}", "${HOST", "${HOST:-x}", "a ${HOST} ${ b"])
def test_refuses_what_is_no_reference(text: str) -> None:
    problems: list[Problem] = []
    expand({"key": text}, ENVIRON, problems)
    assert [str(problem) for problem in problems] == ["key: ${ must be written ${NAME} or ${NAME-default}"]
