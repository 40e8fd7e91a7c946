"""`traceparent`, by the examples of the W3C's recommendation and beyond."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.wire.trace_context import read, written

TRACE, SPAN = bytes.fromhex("0af7651916cd43dd8448eb211c80319c"), bytes.fromhex("b7ad6b7169203331")
VALUE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    ("value", "sampled"),
    [
        (VALUE, True),
        (VALUE[:-2] + b"00", False),
        (VALUE[:-2] + b"fe", False),  # flags that level 1 does not know
        (VALUE[:-2] + b"ff", True),
        (b"01" + VALUE[2:], True),
        (b"cc" + VALUE[2:] + b"-what-the-future-will-be-like", True),
        (b"cc" + VALUE[2:] + b"-", True),
    ],
)
def test_valid_ones(value: bytes, sampled: bool) -> None:
    assert read(value) == (TRACE, SPAN, sampled)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"00",
        VALUE[:-1],
        VALUE + b"-",
        VALUE + b"-01",
        b"ff" + VALUE[2:],
        b"cc" + VALUE[2:] + b".what",
        VALUE.upper(),
        VALUE.replace(b"-", b"_"),
        b"00-" + b"0" * 32 + VALUE[35:],
        VALUE[:36] + b"0" * 16 + b"-01",
        VALUE[:3] + b"g" + VALUE[4:],
        VALUE[:3] + b"`" + VALUE[4:],
        VALUE[:36] + b"/" + VALUE[37:],
        VALUE[:53] + b"0x",
        b" " + VALUE[1:],
        VALUE[:2] + b"0" + VALUE[3:],
    ],
    ids=repr,
)
def test_others(value: bytes) -> None:
    assert read(value) is None


@given(st.binary(min_size=16, max_size=16), st.binary(min_size=8, max_size=8), st.booleans())
def test_what_is_written_is_read(trace: bytes, span: bytes, sampled: bool) -> None:
    value = written(trace, span, sampled)
    assert value == b"00-%b-%b-0%d" % (trace.hex().encode(), span.hex().encode(), sampled)
    assert read(value) == ((trace, span, sampled) if any(trace) and any(span) else None)


@given(st.binary(max_size=80) | st.text("0123456789abcdef-", min_size=50, max_size=60).map(str.encode))
def test_anything_may_come(value: bytes) -> None:
    found = read(value)
    assert found is None or written(*found)[3:53] == value[3:53]


def test_ids_of_another_size() -> None:
    with pytest.raises(ValueError, match="16 and 8 bytes"):
        written(b"short", SPAN, True)
