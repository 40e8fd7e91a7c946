from __future__ import annotations

from pathlib import Path

import pytest

from lbproxy.balance.member import Member
from lbproxy.config import Config, load
from lbproxy.errors import StartError
from lbproxy.runtime.lane_tls import LaneTls, refuse_without_lanes
from tests.pki import Authority

FILE = """
server_url = "http://login.test"
[listener.login]
bind = "127.0.0.1:0"
hosts = ["*"]
pool = "p"
[pool.p]
backends = [{ name = "c1", url = "http://127.0.0.1:9" }]
tls = { ca = "ca.pem" }
"""
PLAIN, SECURE = Member("c2", "http://c2:80"), Member("c3", "https://c3:443")


@pytest.fixture
def config(tmp_path: Path) -> Config:
    Authority.root().write_certificate(tmp_path / "ca.pem")
    (tmp_path / "lb.toml").write_text(FILE)
    return load(tmp_path / "lb.toml", {})


def test_it_is_made_once_when_it_is_needed(config: Config) -> None:
    tls = LaneTls(config)
    assert (tls.refuse("p", PLAIN), tls.made, repr(tls)) == ("", {}, "<lane TLS of no pool>")
    assert tls.refuse("p", SECURE) == ""
    assert tls.of("p") is tls.made["p"]
    assert repr(tls) == "<lane TLS of p>"


def test_where_files_cannot_be_used_https_backends_are_refused(config: Config, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    tls = LaneTls(config)
    with pytest.raises(StartError, match=r"pool\.p\.tls: .*ca\.pem holds no usable PEM certificate"):
        tls.of("p")
    for refuse in (tls.refuse, refuse_without_lanes(config)):
        assert refuse("p", PLAIN) == ""
        assert refuse("p", SECURE).startswith("c3: pool.p.tls: ")


def test_without_lanes_files_are_tried_until_they_can_be_used(config: Config, tmp_path: Path) -> None:
    refuse = refuse_without_lanes(config)
    good = (tmp_path / "ca.pem").read_text()
    (tmp_path / "ca.pem").write_text("no certificate")
    assert refuse("p", SECURE)
    (tmp_path / "ca.pem").write_text(good)
    assert refuse("p", SECURE) == ""
    (tmp_path / "ca.pem").write_text("no certificate")
    assert refuse("p", SECURE) == "", "what was read stays in use"
