"""The record is what the compiled access log reads by position."""

from __future__ import annotations

import json
from typing import Any

from lbproxy.control.access_log.access_line import line
from lbproxy.record import Record

VALUES: dict[str, Any] = {
    "time": 1795246800.123,
    "listener": "login",
    "client": "192.0.2.1:51234",
    "method": "GET",
    "target": "/wsfed?wa=wsignin1.0",
    "host": "login.corp.example",
    "protocol": "HTTP/1.1",
    "status": 200,
    "bytes_in": 912,
    "bytes_out": 4096,
    "user_agent": "Mozilla/5.0",
    "user": "alice",
    "backend": "c1",
    "lane": "private",
    "reused": True,
    "tries": 2,
    "connect_ms": 1.5,
    "first_byte_ms": 2.5,
    "total_ms": 3.0,
    "reason": "done",
    "request_id": "0af7651916cd43dd8448eb211c80319c",
    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
}


def test_every_field_is_written_under_its_name() -> None:
    assert set(VALUES) == set(Record._fields)
    assert json.loads(line(Record(**VALUES))) == VALUES | {"time": "2026-11-21T07:40:00.123Z"}
