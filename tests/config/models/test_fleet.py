from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from lbproxy.config import Config

FLEET = '[fleet]\nname = "eu"\netcd = ["http://10.0.0.21:2379/"]\n'


def test_defaults(load_text: Callable[[str], Config], sound: str) -> None:
    fleet = load_text(f"{sound}\n{FLEET}").fleet
    assert fleet is not None
    assert (fleet.etcd, fleet.lease) == (("http://10.0.0.21:2379",), 5.0)
    assert fleet.replica_name == socket.gethostname()


def test_a_replica_may_have_a_name(load_text: Callable[[str], Config], sound: str) -> None:
    fleet = load_text(f'{sound}\n{FLEET}replica = "lb1"').fleet
    assert fleet is not None
    assert fleet.replica_name == "lb1"


def test_the_password_is_not_shown(load_text: Callable[[str], Config], sound: str) -> None:
    config = load_text(f'{sound}\n{FLEET}user = "lb"\npassword = "correct horse"')
    assert config.fleet is not None
    assert config.fleet.password is not None
    assert config.fleet.password.get_secret_value() == "correct horse"
    assert "horse" not in f"{config!r} {config.fleet.model_dump_json()}"


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ('etcd = []\nname = "eu"', "fleet.etcd: needs at least one entry"),
        (
            'etcd = ["10.0.0.21:2379"]\nname = "eu"',
            "fleet.etcd[0]: '10.0.0.21:2379' is not a URL that begins with http:// or https:// and names a host",
        ),
        (
            'etcd = ["http://lb:horse@10.0.0.21:2379"]\nname = "eu"',
            "fleet.etcd[0]: a URL here must not carry a user name or a password",
        ),
        ('etcd = ["http://e:2379"]\nname = "eu"\nlease = "1s"', "fleet.lease: must be between 2s and 10m"),
        ('etcd = ["http://e:2379"]\nname = "eu"\nuser = "lb"\npassword = ""', "fleet.password: must not be empty"),
        ('etcd = ["http://e:2379"]', "fleet.name: missing"),
    ],
)
def test_what_cannot_be(lines: str, problem: str, problems_of: Callable[[str], list[str]], sound: str) -> None:
    assert problems_of(f"{sound}\n[fleet]\n{lines}") == [problem]
