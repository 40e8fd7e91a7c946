from __future__ import annotations

import json

from lbproxy.control import access_log
from lbproxy.control.access_log.access_line import line
from lbproxy.net.http.record import Record

RECORD = Record(
    time=1795246800.123,
    listener="login",
    client="192.0.2.1:51234",
    method="GET",
    target="/wsfed?wa=wsignin1.0",
    host="login.corp.example",
    protocol="HTTP/1.1",
    status=200,
    bytes_in=912,
    bytes_out=4096,
    user="",
    user_agent="Mozilla/5.0",
    backend="c1",
    lane="private",
    reused=True,
    tries=2,
    connect_ms=-1.0,
    first_byte_ms=2.5,
    total_ms=3.0,
    reason="done",
)


def test_has_what_the_access_log_writes() -> None:
    """The data path and the control plane do not import each other; this holds them together."""
    wanted = [name for name, value in vars(access_log.Record).items() if isinstance(value, property)]
    assert wanted == list(Record._fields)
    read = json.loads(line(RECORD))
    assert (read["listener"], read["status"], read["reason"]) == ("login", 200, "done")
