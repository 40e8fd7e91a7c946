from __future__ import annotations

from typing import Any

import pytest

from lbproxy.config.checks import fleet

SECURE, PLAIN = "https://e1:2379", "http://e1:2379"


def problems(**keys: Any) -> list[str]:
    return [str(problem) for problem in fleet.problems({"fleet": {"name": "eu", **keys}})]


def test_no_fleet_is_sound() -> None:
    assert [*fleet.problems({}), *fleet.warnings({})] == []


def test_everything_is_sound() -> None:
    keys = {"ca": "ca.pem", "certificate": "a.pem", "key": "a.key", "user": "lb", "password": "x"}
    assert problems(etcd=[SECURE, "https://e2:2379"], **keys) == []


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({"certificate": "a.pem"}, "fleet.key: missing; certificate needs it"),
        ({"key": "a.key"}, "fleet.certificate: missing; key needs it"),
        ({"user": "lb"}, "fleet.password: missing; user needs it"),
        ({"password": "x"}, "fleet.user: missing; password needs it"),
    ],
)
def test_half_a_pair(keys: dict[str, str], problem: str) -> None:
    assert problems(etcd=[SECURE], **keys) == [problem]


def test_files_of_tls_need_https() -> None:
    assert problems(etcd=[PLAIN], ca="ca.pem") == ["fleet.ca: has no meaning without https:// in fleet.etcd"]


def test_endpoints_of_two_kinds() -> None:
    assert problems(etcd=[PLAIN, SECURE]) == [
        "fleet.etcd: has http:// beside https://; the endpoints of a cluster are of one kind"
    ]


def test_an_endpoint_twice() -> None:
    assert problems(etcd=[PLAIN, PLAIN]) == ["fleet.etcd[1]: 'http://e1:2379' is there twice"]


@pytest.mark.parametrize(("url", "count"), [(PLAIN, 1), (SECURE, 0)])
def test_a_password_without_tls_is_a_warning(url: str, count: int) -> None:
    found = [str(one) for one in fleet.warnings({"fleet": {"etcd": [url], "user": "lb", "password": "x"}})]
    assert found == ["fleet.password: is sent unencrypted to http:// endpoints"] * count
