from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.control.consistency.page import Page
from lbproxy.control.consistency.places import Place, at_pointer, by_regex, in_header
from lbproxy.control.consistency.reading import Unreadable


def page(body: bytes | str = b"", status: int = 200, **headers: str) -> Page:
    data = body.encode() if isinstance(body, str) else body
    return Page(status, {name.replace("_", "-"): value for name, value in headers.items()}, data)


def trouble(place: Place, of: Page) -> str:
    with pytest.raises(Unreadable) as raised:
        place(of)
    return str(raised.value)


# --- JSON

# The document of RFC 6901 section 5, but for its empty key.
DOCUMENT = r"""
{ "foo": ["bar", "baz"], "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\j": 5, "k\"l": 6, " ": 7, "m~n": 8,
  "version": "1.8.0", "deep": { "b": true, "a": [null, 1.50] } }
"""


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("/foo/0", "bar"),
        ("/foo", '["bar", "baz"]'),
        ("/a~1b", "1"),
        ("/c%d", "2"),
        ("/e^f", "3"),
        ("/g|h", "4"),
        ("/i\\j", "5"),
        ('/k"l', "6"),
        ("/ ", "7"),
        ("/m~0n", "8"),
        ("/version", "1.8.0"),
        ("/deep/b", "true"),
        ("/deep", '{"a": [null, 1.5], "b": true}'),  # whatever the order of its keys
        ("/deep/a/0", "null"),
    ],
)
def test_a_json_pointer(pointer: str, value: str) -> None:
    assert at_pointer(pointer)(page(DOCUMENT)) == value


@pytest.mark.parametrize(
    "pointer", ["/nothing", "/foo/2", "/foo/-", "/foo/01", "/foo/bar", "/foo/\u0661", "/version/0", "/", "/deep/a/0/x"]
)
def test_a_json_pointer_that_leads_nowhere(pointer: str) -> None:
    assert trouble(at_pointer(pointer), page(DOCUMENT)) == f"the page has no {pointer}"


def test_a_tilde_and_a_digit_are_told_from_an_escape() -> None:
    assert at_pointer("/~01")(page('{"~1": "x", "/": "y"}')) == "x"


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"\xff\xfe", b"[" * 60_000, b"1" * 60_000, b'{"version": "1.8', b"\x80"]
)
def test_what_is_not_json(body: bytes) -> None:
    assert trouble(at_pointer("/version"), page(body)) == "the page is not JSON"


@given(
    st.recursive(st.none() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5)
)
def test_every_value_has_a_text_and_equal_ones_the_same(value: object) -> None:
    first, second = json.dumps({"x": value}), json.dumps({"x": value}, indent=1, ensure_ascii=False)
    assert at_pointer("/x")(page(first)) == at_pointer("/x")(page(second))


@given(st.binary(), st.sampled_from(["/a", "/0", "/a/0/b"]))
def test_no_page_is_too_strange(body: bytes, pointer: str) -> None:
    for place in (at_pointer(pointer), by_regex("(a.*)")):
        with suppress(Unreadable):
            assert isinstance(place(page(body)), str)


# --- regular expressions


def test_a_regular_expression() -> None:
    assert by_regex("<title>(.*?)</title>")(page("<html><title>Sign in é</title>")) == "Sign in é"
    assert by_regex('entityID="([^"]*)"')(page(b'\xff entityID="" entityID="x"')) == ""


def test_a_regular_expression_that_matches_nothing_or_leaves_its_group_out() -> None:
    assert trouble(by_regex("v([0-9]+)"), page("version")) == "nothing on the page matches"
    assert trouble(by_regex("a(b)?"), page("a")) == "nothing on the page matches"


def test_a_regular_expression_looks_at_the_beginning_only() -> None:
    """A lazy one takes the square of the page's length if it has many beginnings and no end; nobody else runs then."""
    assert by_regex("(x)")(page("é" * 8191 + "x")) == "x"
    assert trouble(by_regex("(x)"), page("é" * 8192 + "x")) == "nothing on the page matches"


# --- headers


def test_a_header_of_any_case() -> None:
    answer = page(server="nginx", www_authenticate="Negotiate, NTLM", status=401)
    assert in_header("Server")(answer) == "nginx"
    assert in_header("WWW-Authenticate")(answer) == "Negotiate, NTLM"
    assert trouble(in_header("X-Version"), answer) == "the answer has no X-Version"


def test_a_servers_error_says_nothing_of_how_it_usually_is() -> None:
    assert trouble(in_header("Server"), page(server="gateway", status=502)) == "the page answers with 502"


# --- all of them


@pytest.mark.parametrize("place", [at_pointer("/version"), by_regex("(version)")], ids=["json", "regex"])
def test_only_a_success_is_looked_into(place: Place) -> None:
    for status in (302, 401, 404, 500):
        assert trouble(place, page('{"version": "1"}', status)) == f"the page answers with {status}"
