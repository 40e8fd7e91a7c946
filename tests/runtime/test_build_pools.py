from __future__ import annotations

from pathlib import Path

import pytest

from lbproxy.balance.member import Member
from lbproxy.config import Config, load
from lbproxy.runtime.build_pools import build_pool, own_listener

FILE = """
server_url = "http://login.test"
[listener.every]
bind = "0.0.0.0:8080"
hosts = ["*"]
pool = "p"
[listener.one]
bind = "10.0.0.5:8081"
hosts = ["*"]
pool = "p"
[pool.p]
backends = [
  { name = "a", url = "http://10.0.0.1:80", weight = 3 },
  { name = "b", url = "http://10.0.0.2:80", standby = true },
]
standby_below = 2
max_backends = 3
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    path = tmp_path / "lb.toml"
    path.write_text(FILE)
    return load(path, {})


def test_a_pool_is_as_the_file_says(config: Config) -> None:
    pool = build_pool("p", config.pools["p"], config, lambda name, member: "no more" if member.name == "x" else "")
    assert [(one.name, one.weight, one.standby, one.source) for one in pool.backends] == [
        ("a", 3, False, "file"),
        ("b", 1, True, "file"),
    ]
    told = pool.apply("dns", [Member("x", "http://x:1"), Member("c", "http://c:1"), Member("d", "http://d:1")])
    assert told == ("no more", "d: the pool has max_backends (3) already")


@pytest.mark.parametrize(
    ("url", "listener"),
    [
        ("http://127.0.0.1:8080", "listener.every (0.0.0.0:8080)"),
        ("http://localhost:8080", "listener.every"),
        ("tcp://10.0.0.5:8081", "listener.one (10.0.0.5:8081)"),
        ("http://10.0.0.6:8081", ""),
        ("http://127.0.0.1:8081", ""),
        ("http://10.0.0.5:8082", ""),
    ],
)
def test_lbproxy_is_no_backend_of_its_own(config: Config, url: str, listener: str) -> None:
    found = own_listener(config, Member("x", url))
    assert listener in found
    assert bool(found) is bool(listener)
