from __future__ import annotations

from typing import Any

import pytest

from lbproxy.config.checks import tracing

SECURE, PLAIN = "https://collector:4318", "http://collector:4318"


def problems(**keys: Any) -> list[str]:
    return [str(problem) for problem in tracing.problems({"tracing": keys})]


def warnings(**keys: Any) -> list[str]:
    return [str(problem) for problem in tracing.warnings({"tracing": keys})]


def test_what_is_sound() -> None:
    assert [*tracing.problems({}), *tracing.warnings({}), *problems(), *warnings(sample=1.0)] == []
    keys = {"endpoint": SECURE, "ca": "ca.pem", "certificate": "a.pem", "key": "a.key", "service_name": "lb"}
    assert [*problems(**keys), *warnings(**keys)] == []


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({"certificate": "a.pem"}, "tracing.key: missing; certificate needs it"),
        ({"key": "a.key"}, "tracing.certificate: missing; key needs it"),
    ],
)
def test_half_a_pair(keys: dict[str, str], problem: str) -> None:
    assert problems(endpoint=SECURE, **keys) == [problem]


def test_files_of_tls_need_https() -> None:
    assert problems(endpoint=PLAIN, ca="a") == ["tracing.ca: has no meaning without https:// in tracing.endpoint"]


@pytest.mark.parametrize("endpoint", [{}, {"endpoint": ""}])
def test_without_a_collector_nothing_is_sent(endpoint: dict[str, str]) -> None:
    assert warnings(service_name="lb", **endpoint) == ["tracing.service_name: has no meaning without tracing.endpoint"]


def test_values_of_the_wrong_type_are_left_to_the_models() -> None:
    assert problems(endpoint=7) == []
