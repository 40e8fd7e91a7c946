from __future__ import annotations

from collections.abc import Callable

import pytest

from lbproxy.config import Backend, Fact, Pool

SERVER_URL = "https://login.corp.example"
BACKEND = Backend(name="c1", url="http://10.0.0.11:4000")


def test_by_default_nothing_is_compared(pool: Callable[[str], Pool]) -> None:
    found = pool("").consistency
    assert (found.policy, found.interval, dict(found.facts)) == ("warn", 30.0, {})


def test_facts(pool: Callable[[str], Pool]) -> None:
    found = pool("""
[pool.connectors.consistency]
policy = "eject-minority"
interval = "1m"
[pool.connectors.consistency.facts]
version = { url = "http://{host}:8080/about", json = "/build/version" }
title = { path = "/", regex = "<title>(.*)</title>", equal = "Sign in" }
address = { metadata = true }
""").consistency
    assert (found.policy, found.interval) == ("eject-minority", 60.0)
    assert found.facts == {
        "version": Fact(url="http://{host}:8080/about", json="/build/version"),
        "title": Fact(path="/", regex="<title>(.*)</title>", equal="Sign in"),
        "address": Fact(metadata=True),
    }


@pytest.mark.parametrize(
    ("fact", "page"),
    [
        (Fact(path="/about", header="Server"), "http://10.0.0.11:4000/about"),
        (Fact(url="https://{host}:8443/about", json="/version"), "https://10.0.0.11:8443/about"),
        (Fact(metadata=True), "http://10.0.0.11:4000/wsfed/FederationMetadata/2007-06/FederationMetadata.xml"),
        (Fact(certificate=True), None),
        (Fact(kvno=True), None),
    ],
)
def test_where_a_fact_is_read(fact: Fact, page: str | None) -> None:
    assert fact.page(BACKEND) == page


@pytest.mark.parametrize(
    ("fact", "expected"),
    [
        (Fact(path="/", header="Server"), None),
        (Fact(path="/", header="Server", equal="1.8.0"), "1.8.0"),
        (Fact(metadata=True), SERVER_URL),
        (Fact(metadata=True, equal="https://other.example"), "https://other.example"),
    ],
)
def test_what_a_fact_must_be(fact: Fact, expected: str | None) -> None:
    assert fact.expected(SERVER_URL) == expected


FACTS = "pool.connectors.consistency.facts"
NO_POINTER = "is not a JSON pointer such as /version (RFC 6901)"


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ('json = "version"', f"json: 'version' {NO_POINTER}"),
        ('json = "/a~2"', f"json: '/a~2' {NO_POINTER}"),
        ('regex = "v"', "regex: 'v' must have exactly one group in parentheses, which is the value"),
        ('regex = "(v"', "regex: '(v' is not a regular expression: missing ), unterminated subpattern at position 0"),
        ('header = "a b"', "header: 'a b' is not an HTTP token (RFC 9110 section 5.6.2)"),
        ('header = "a", equal = 1', "equal: must be a string"),
        ('header = "a", jsn = "/a"', "jsn: unknown key; did you mean json?"),
    ],
)
def test_impossible_facts(source: str, problem: str, problems_of_pool: Callable[[str], list[str]]) -> None:
    assert problems_of_pool(f'consistency.facts.a = {{ path = "/", {source} }}') == [f"{FACTS}.a.{problem}"]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('policy = "eject"', "policy: must be 'off', 'warn' or 'eject-minority'"),
        ('interval = "0s"', "interval: must be more than 0"),
    ],
)
def test_impossible_guards(line: str, problem: str, problems_of_pool: Callable[[str], list[str]]) -> None:
    lines = f"consistency.{line}\nconsistency.facts.address.metadata = true"
    assert problems_of_pool(lines) == [f"pool.connectors.consistency.{problem}"]
