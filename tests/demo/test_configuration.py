from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from lbproxy.config import load
from lbproxy.demo.authority import Authority
from lbproxy.demo.configuration import configuration

TEXT = configuration("login.corp.example", "127.0.0.1:8443", "127.0.0.1:8444", {"c1": 4001, "c2": 4002})


@pytest.mark.parametrize(("pool", "scheme"), [("connectors", "https"), ("passthrough", "tcp")])
def test_the_connectors_are_in_both_pools(pool: str, scheme: str) -> None:
    backends = tomllib.loads(TEXT)["pool"][pool]["backends"]
    urls = {"c1": f"{scheme}://127.0.0.1:4001", "c2": f"{scheme}://127.0.0.1:4002"}
    assert {backend["name"]: backend["url"] for backend in backends} == urls


def test_the_balancer_accepts_the_file(tmp_path: Path) -> None:
    Authority(tmp_path / "authority").server(["login.corp.example"])
    for name in ("users", "mint"):
        Authority(tmp_path / name)
    (tmp_path / "lbproxy.toml").write_text(TEXT)
    config = load(tmp_path / "lbproxy.toml")
    assert config.server_url == "https://login.corp.example:8443"
    assert config.listeners["passthrough"].sni == {"login.corp.example": "passthrough"}
