from __future__ import annotations

import pkgutil
from typing import Any

import pytest

from lbproxy.config import checks
from lbproxy.config.checks.document import SUBJECTS, WITH_WARNINGS, problems, warnings
from tests.config.checks.documents import LISTENER, PASSING, POOL, TCP_POOL, document


def test_a_sound_document_has_no_problem() -> None:
    sound = document(listener={"a": LISTENER, "b": PASSING}, pool={"p": POOL, "t": TCP_POOL})
    assert list(problems(sound)) == list(warnings(sound)) == []


def test_every_subject_is_asked() -> None:
    modules = {module.name for module in pkgutil.iter_modules(checks.__path__)} - {"document", "look"}
    assert {subject.__name__.rpartition(".")[2] for subject in SUBJECTS} == modules
    assert set(WITH_WARNINGS) == {subject for subject in SUBJECTS if hasattr(subject, "warnings")}


def test_problems_of_all_subjects_are_reported_at_once() -> None:
    listeners = {"a": LISTENER | {"tls": {"client_certificate": "optional"}}, "b": LISTENER | {"mode": "sni"}}
    pools = {"p": POOL | {"tls": {"key": "k"}, "check": {"kind": "kerberos"}, "consistency": {}}}
    assert [problem.where for problem in problems(document(listener=listeners, pool=pools))] == [
        "listener.b.bind",
        "listener.b.pool",
        "listener.b.sni",
        "listener.b.pool",
        "listener.a.tls.client_ca",
        "pool.p.tls.certificate",
        "pool.p.check.kerberos",
        "pool.p.consistency.facts",
    ]


def test_warnings_of_all_subjects() -> None:
    tls = {"client_certificate": "none", "client_ca": "users.pem"}
    mixed = {"backends": [*POOL["backends"], *TCP_POOL["backends"]], "check": {"kind": "tcp", "path": "/"}}
    listeners = {"a": LISTENER | {"tls": tls}, "b": PASSING}
    found = warnings(document(listener=listeners, pool={"p": mixed, "t": TCP_POOL | {"retry_budget": "1%"}}))
    assert [warning.where for warning in found] == [
        "pool.p.backends[1].url",
        "listener.a.tls.client_ca",
        "pool.t.retry_budget",
        "pool.p.check.path",
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        1,
        "x",
        [],
        [1],
        {"a": 1},
        {"a": {"backends": 1, "pool": 1, "check": [], "bind": [], "tls": 1, "sni": 1, "mode": [], "consistency": 1}},
        {"a": {"backends": [1, {"url": 1}], "check": {"kind": [], "expect": 1}, "tls": {"client_identity": {}}}},
        {"a": {"mode": "sni", "sni": {"x": 1}, "consistency": {"facts": {"f": {"kvno": 1, "json": 1}, "g": 1}}}},
    ],
)
def test_wrong_types_are_left_to_the_models(wrong: Any) -> None:
    whole = document(listener=wrong, pool=wrong, admin=wrong)
    assert all(isinstance(problem.text, str) for problem in (*problems(whole), *warnings(whole)))
