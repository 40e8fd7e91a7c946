from __future__ import annotations

import tomllib
from pathlib import Path

from lbproxy.config import load
from lbproxy.demo.authority import Authority
from lbproxy.demo.configuration import configuration

URLS = {"c1": "http://127.0.0.1:4001", "c2": "http://127.0.0.1:4002"}
TEXT = configuration("https://login.corp.example:8443", "127.0.0.1:8443", URLS)


def test_the_connectors_are_the_pool() -> None:
    pool = tomllib.loads(TEXT)["pool"]["connectors"]
    assert {backend["name"]: backend["url"] for backend in pool["backends"]} == URLS


def test_the_balancer_accepts_the_file(tmp_path: Path) -> None:
    Authority(tmp_path / "authority").server(["login.corp.example"])
    (tmp_path / "lbproxy.toml").write_text(TEXT)
    assert load(tmp_path / "lbproxy.toml").server_url
