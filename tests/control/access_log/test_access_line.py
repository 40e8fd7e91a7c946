from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.control.access_log.access_line import MAX_HOST, MAX_METHOD, MAX_TARGET, MAX_USER, MAX_USER_AGENT, line
from lbproxy.record import Record
from tests.control.sample import made


def test_reads_as_documented() -> None:
    assert line(made()) == (
        '{"time":"2026-11-21T07:40:00.123Z","listener":"login","client":"10.1.2.3:51234","method":"GET",'
        '"target":"/wsfed?wa=wsignin1.0","host":"login.corp.example","protocol":"HTTP/1.1","status":200,"bytes_in":912,'
        '"bytes_out":4096,"user_agent":"Mozilla/5.0 (X11)","user":"alice","backend":"c1","lane":"private",'
        '"reused":true,"tries":2,"connect_ms":null,"first_byte_ms":2.134,"total_ms":2.500,"reason":"done",'
        '"request_id":"0af7651916cd43dd8448eb211c80319c","trace_id":""}\n'
    )


def test_every_attribute_is_a_key_and_nothing_else_is() -> None:
    assert tuple(json.loads(line(made()))) == Record._fields


latin1 = st.text(st.characters(max_codepoint=255), max_size=30)
anything = st.one_of(latin1, st.text(max_size=30))
milliseconds = st.floats(0, 1e7)
counts = st.integers(0, 2**64 - 1)
records = st.builds(
    Record,
    time=st.floats(0, 4e9),
    listener=anything,
    client=anything,
    method=anything,
    target=anything,
    host=anything,
    protocol=anything,
    status=counts,
    bytes_in=counts,
    bytes_out=counts,
    user_agent=anything,
    user=anything,
    backend=anything,
    lane=anything,
    reused=st.booleans(),
    tries=counts,
    connect_ms=milliseconds,
    first_byte_ms=milliseconds,
    total_ms=milliseconds,
    reason=anything,
)


@given(records)
def test_whatever_a_client_sent_is_one_line_of_printable_ascii_that_reads_back(record: Record) -> None:
    text = line(record)
    assert re.fullmatch(r"[ -~]*\n", text)
    back = json.loads(text)
    for name, value in record._asdict().items():
        if name.endswith("_ms"):
            assert back[name] == pytest.approx(value, abs=0.0006)
        elif name != "time":
            assert back[name] == value


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("target", MAX_TARGET),
        ("user_agent", MAX_USER_AGENT),
        ("user", MAX_USER),
        ("host", MAX_HOST),
        ("method", MAX_METHOD),
    ],
)
def test_long_strings_are_cut_and_say_so(name: str, limit: int) -> None:
    def logged(value: str) -> str:
        changed: dict[str, Any] = {name: value}
        text: str = json.loads(line(made(**changed)))[name]
        return text

    assert logged("x" * limit) == "x" * limit
    assert logged("x" * (limit + 1)) == "x" * limit + f"...[{limit + 1} characters]"


@pytest.mark.parametrize("text", ["€", "\ud800", "\uffff", "😀", "\U0010ffff", "\x00", "\x1f", "\x7f", "\x80", "\xff"])
def test_escapes_every_kind_of_character(text: str) -> None:
    read = line(made(target=text * 10_000, listener=text))
    assert re.fullmatch(r"[ -~]*\n", read)
    assert json.loads(read)["listener"] == text
    assert json.loads(read)["target"] == text * MAX_TARGET + "...[10000 characters]"


@pytest.mark.parametrize("record", [(), tuple(made())[1:], list(made())])
def test_takes_nothing_but_a_record(record: Any) -> None:
    with pytest.raises(TypeError, match="22 fields"):
        line(record)


@pytest.mark.parametrize(
    ("wrong", "error"), [({"target": b"/"}, TypeError), ({"bytes_in": -1}, OverflowError), ({"time": ""}, TypeError)]
)
def test_refuses_a_field_of_another_kind(wrong: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        line(made(**wrong))


def test_counts_have_room_for_all_that_can_be_counted() -> None:
    assert json.loads(line(made(bytes_out=2**64 - 1)))["bytes_out"] == 2**64 - 1
