from __future__ import annotations

import json

import pytest

from lbproxy.doctor.examination import Result
from lbproxy.doctor.finding import Check, Finding, ok, problem, unseen, warning
from lbproxy.doctor.summary import as_json, exit_status


def result(*findings: Finding) -> Result:
    return Result(Check("name", "area", "why", lambda: findings), findings, 0.25)


@pytest.mark.parametrize(
    ("findings", "status"),
    [
        ([], 0),
        ([ok("well")], 0),
        ([unseen("dark")], 0),
        ([ok("well"), warning("doubtful"), unseen("dark")], 2),
        ([warning("doubtful"), problem("bad")], 1),
    ],
)
def test_exit_status(findings: list[Finding], status: int) -> None:
    assert exit_status([result(*findings)]) == status


def test_json_has_everything() -> None:
    found = json.loads(json.dumps(as_json([result(problem("bad", "users", "repair", "c1")), result(ok("well"))], 1.5)))
    assert (found["status"], found["took_seconds"]) == ("problem", 1.5)
    assert found["counts"] == {"ok": 1, "warning": 0, "problem": 1, "not seen": 0}
    assert found["checks"][0]["findings"] == [
        {"outcome": "problem", "found": "bad", "why": "users", "repair": "repair", "subject": "c1"}
    ]
