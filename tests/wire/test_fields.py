"""Header names and lines: what the table says beside a dictionary, and where a line begins and ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.wire.fields import Field, FieldSection, FieldTable, Limits
from tests.wire.parsers import request_head
from tests.wire.strategies import tokens

NAMES = {b"host": Field.HOST, b"x-a": Field.STRIP, b"via": Field.OTHER}
PREFIXES = {b"x-b-": Field.STRIP, b"x-": Field.FORWARDED, b"v": Field.LOCATION}


@pytest.mark.parametrize(
    ("name", "field"),
    [
        (b"Host", Field.HOST),
        (b"HOST", Field.HOST),
        (b"Hos", Field.OTHER),
        (b"Hostt", Field.OTHER),
        (b"X-A", Field.STRIP),
        (b"X_A", Field.STRIP),
        (b"Via", Field.OTHER),  # by its name, before how it begins
        (b"Vary", Field.LOCATION),
        (b"X-B-C", Field.STRIP),  # the prefix that was given first
        (b"X-B", Field.FORWARDED),
        (b"X-C", Field.FORWARDED),
        (b"X", Field.OTHER),
        (b"!", Field.OTHER),
    ],
)
def test_what_a_name_means(name: bytes, field: Field) -> None:
    assert FieldTable(NAMES, PREFIXES).meaning(name) is field


@pytest.mark.parametrize(("name", "field"), [(b"a_b", Field.STRIP), (b"a-b", Field.OTHER), (b"ho_st", Field.STRIP)])
def test_names_with_an_underscore_may_be_stripped(name: bytes, field: Field) -> None:
    assert FieldTable(NAMES, {}, False).meaning(name) is field


def _known(name: bytes) -> bytes:
    return name.lower().replace(b"_", b"-")


@given(st.dictionaries(tokens.map(_known), st.sampled_from(Field), max_size=160), st.lists(tokens, max_size=20))
def test_the_table_agrees_with_a_dictionary(names: dict[bytes, Field], asked: list[bytes]) -> None:
    table = FieldTable(names)
    for name in [*asked, *names, *(name.upper() for name in names)]:
        known = names.get(_known(name), Field.OTHER)
        assert table.meaning(name) == (Field.STRIP if b"_" in name and known != Field.OTHER else known)


def test_there_is_a_limit() -> None:
    with pytest.raises(ValueError, match="too many header names"):
        FieldTable({b"x-%d" % number: Field.STRIP for number in range(161)})
    with pytest.raises(ValueError, match="too many header names"):
        FieldTable({}, {b"x-%d" % number: Field.STRIP for number in range(25)})
    with pytest.raises(ValueError, match="no name"):
        FieldTable({}).meaning(b"")


def test_a_section_that_read_nothing_has_no_lines() -> None:
    section = FieldSection(Limits(), FieldTable(NAMES))
    assert (section.fields(), section.values(Field.HOST)) == ([], [])


@pytest.mark.parametrize("count", [1, 31, 32, 33, 200])
def test_lines_have_room(count: int) -> None:
    lines = [(b"X-%d" % number, b"v%d" % number) for number in range(count)]
    head = request_head()
    raw = b"GET / HTTP/1.0\r\n" + b"".join(name + b": " + value + b"\r\n" for name, value in lines) + b"\r\n"
    assert head.read(raw) == len(raw)
    assert head.fields() == [(name, value, Field.OTHER) for name, value in lines]
