from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from lbproxy.config import load
from lbproxy.preflight import Report
from lbproxy.preflight.instances import inspect_instances

FILE = """
server_url = "http://login.corp.example"
[listener.login]
bind = "127.0.0.1:0"
pool = "connectors"
[listener.raw]
bind = "127.0.0.1:0"
mode = "tcp"
pool = "raw"
[pool.connectors]
backends = [{ name = "c1", url = "http://10.0.0.11:4000" }, { name = "c2", url = "http://10.0.0.12:4000" }]
[pool.raw]
backends = [%s]
check = { kind = "tcp" }
"""


@pytest.mark.parametrize(
    ("raw", "warnings"),
    [
        ('{ name = "c1", url = "tcp://10.0.0.11:4000" }', []),
        ('{ name = "c1", url = "tcp://10.0.0.11:4443" }, { name = "r2", url = "tcp://10.0.0.12:4443" }', []),
        (
            '{ name = "r1", url = "tcp://10.0.0.11:4000" }',
            [
                "pool.raw.backends[0]: tcp://10.0.0.11:4000 is called c1 in pool connectors;"
                " drain and rollout cover both under one name"
            ],
        ),
        (
            '{ name = "c2", url = "tcp://10.0.0.12:4443" }, { name = "c1", url = "tcp://10.0.0.13:4000" }',
            [
                "pool.raw.backends[1]: c1 is at 10.0.0.13 here and at 10.0.0.11 in pool connectors;"
                " drain and rollout take backends of one name for one instance"
            ],
        ),
    ],
)
def test_names_that_mislead(tmp_path: Path, raw: str, warnings: list[str]) -> None:
    (tmp_path / "lbproxy.toml").write_text(FILE % raw)
    report = Report(datetime.now(UTC))
    inspect_instances(report, load(tmp_path / "lbproxy.toml", {}))
    assert (list(map(str, report.warnings)), report.problems) == (warnings, [])
