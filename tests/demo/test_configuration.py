from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from lbproxy.config import load
from lbproxy.demo.authority import Authority
from lbproxy.demo.configuration import Probe, Replica, configuration
from lbproxy.demo.store import CLIENT

LB1 = Replica("lb1", "127.0.0.1:8443", "127.0.0.1:8444")
PORTS = {"c1": 4001, "c2": 4002}
TEXT = configuration("login.corp.example", "https://login.corp.example:8443", LB1, PORTS)


@pytest.mark.parametrize(("pool", "scheme"), [("connectors", "https"), ("passthrough", "tcp")])
def test_the_connectors_are_in_both_pools(pool: str, scheme: str) -> None:
    backends = tomllib.loads(TEXT)["pool"][pool]["backends"]
    urls = {"c1": f"{scheme}://127.0.0.1:4001", "c2": f"{scheme}://127.0.0.1:4002"}
    assert {backend["name"]: backend["url"] for backend in backends} == urls


def test_a_second_one_shares_its_orders_and_probes_may_sign_in(tmp_path: Path) -> None:
    probe = Probe("HTTP/probe.corp.example@CORP.EXAMPLE", tmp_path / "probe.keytab")
    lb2 = Replica("lb2", "127.0.0.1:8445", "127.0.0.1:8446")
    text = configuration("a.test", "https://a.test:8443", lb2, PORTS, probe, "https://127.0.0.1:2379")
    tables = tomllib.loads(text)
    assert tables["fleet"]["replica"] == "lb2"
    assert tables["fleet"]["key"] == f"store/{CLIENT}.key"
    assert tables["listener"]["login"]["bind"] == lb2.bind
    check = tables["pool"]["connectors"]["check"]
    assert (check["kind"], check["kerberos"]["keytab"]) == ("kerberos", str(probe.keytab))


def test_the_balancer_accepts_the_file(tmp_path: Path) -> None:
    Authority(tmp_path / "authority").server(["login.corp.example"])
    for name in ("users", "mint"):
        Authority(tmp_path / name)
    (tmp_path / "lbproxy.toml").write_text(TEXT)
    config = load(tmp_path / "lbproxy.toml")
    assert config.server_url == "https://login.corp.example:8443"
    assert config.listeners["passthrough"].sni == {"login.corp.example": "passthrough"}
