from __future__ import annotations

import os
import re
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.control.log.datagrams import JOURNAL, Receiver
from lbproxy.control.log.frames import LONGEST, LONGEST_VALUE, Entry, frame

AT = 1764576000.123
ENTRY = Entry("lbproxy", 4, AT, "backend_ejected", "backend_ejected pool=p", {"pool": "p", "detail": None})
NETWORK, LOCAL, TO_JOURNAL = Receiver(host="logs.test", port=514), Receiver("/dev/log"), Receiver(JOURNAL)


def fields(datagram: bytes) -> list[tuple[str, bytes]]:
    """Of the journal's native protocol, read as its documentation has it."""
    found = []
    while datagram:
        line, _, rest = datagram.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            [length] = struct.unpack("<Q", rest[:8])
            value, end, rest = rest[8 : 8 + length], rest[8 + length : 9 + length], rest[9 + length :]
            assert end == b"\n"
        found.append((name.decode(), value))
        datagram = rest
    return found


def test_rfc_5424_for_the_network() -> None:
    host = re.escape(socket.gethostname())
    pattern = rf"<28>1 2025-12-01T08:00:00\.123Z {host} lbproxy {os.getpid()} backend_ejected - backend_ejected pool=p"
    assert re.fullmatch(pattern, frame(ENTRY, NETWORK).decode())


def test_rfc_3164_for_this_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    assert frame(ENTRY, LOCAL).decode() == f"<28>Dec  1 08:00:00 lbproxy[{os.getpid()}]: backend_ejected pool=p"


@pytest.mark.parametrize("to", [NETWORK, LOCAL])
def test_a_long_line_is_cut_for_syslog(to: Receiver) -> None:
    data = frame(ENTRY._replace(text="x" * LONGEST), to)
    assert len(data) == LONGEST
    assert data.endswith(b"xxx...")


def test_fields_for_the_journal() -> None:
    assert dict(fields(frame(ENTRY, TO_JOURNAL))) == {
        "MESSAGE": b"backend_ejected pool=p",
        "PRIORITY": b"4",
        "SYSLOG_FACILITY": b"3",
        "SYSLOG_IDENTIFIER": b"lbproxy",
        "LBPROXY_EVENT": b"backend_ejected",
        "LBPROXY_POOL": b"p",
    }


@given(value=st.text())
def test_no_value_leaves_its_field_in_the_journal(value: str) -> None:
    found = fields(frame(ENTRY._replace(fields={"a": value, "b-c": "end"}), TO_JOURNAL))
    assert found[-2:] == [("LBPROXY_A", value.encode("utf-8", "backslashreplace")), ("LBPROXY_B_C", b"end")]


def test_values_for_the_journal_are_cut() -> None:
    found = dict(fields(frame(ENTRY._replace(fields={"traceback": "x\n" * LONGEST_VALUE}), TO_JOURNAL)))
    assert len(found["LBPROXY_TRACEBACK"]) == LONGEST_VALUE
