from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest

from lbproxy.config import load
from lbproxy.control.snapshot import ExpiryView
from lbproxy.runtime.data_path import DataPath
from lbproxy.status.certificate_expiry import endings, expiries
from tests.pki import DAY, Authority, write_crls
from tests.process.places import listen_all

FILE = """
server_url = "https://login.corp.example"
[listener.login]
bind = "127.0.0.1:0"
pool = "connectors"
[listener.login.tls]
certificate = "leaf.pem"
key = "leaf.key"
client_certificate = "optional"
client_ca = "users.pem"
client_crl = ["users.crl"]
client_identity = "mint"
[listener.login.tls.mint]
ca_certificate = "mint.pem"
ca_key = "mint.key"
[listener.plain]
bind = "127.0.0.1:0"
pool = "connectors"
[listener.passed]
bind = "127.0.0.1:0"
mode = "tcp"
pool = "passed"
[pool.connectors]
backends = [{ name = "c1", url = "https://127.0.0.1:9" }, { name = "c2", url = "https://127.0.0.2:9" }]
[pool.connectors.tls]
ca = "connectors.pem"
[pool.passed]
backends = [{ name = "p1", url = "tcp://127.0.0.1:9" }]
check = { kind = "tcp" }
"""


@pytest.fixture
async def found(tmp_path: Path) -> AsyncIterator[list[ExpiryView]]:
    """What the data path of FILE has loaded."""
    root = Authority.root("users", ends=50 * DAY)
    root.server("login.corp.example", ends=10 * DAY).write(tmp_path)
    root.write_certificate(tmp_path / "users.pem")
    write_crls(tmp_path / "users.crl", root.crl(next_update=5 * DAY))
    Authority.root("mint", ends=30 * DAY).write(tmp_path, "mint")
    Authority.root("connectors", ends=20 * DAY).write_certificate(tmp_path / "connectors.pem")
    (tmp_path / "lbproxy.toml").write_text(FILE)
    config = load(tmp_path / "lbproxy.toml", {})
    sockets = listen_all(config)
    worker = DataPath(config, sockets, lambda record: None, False)
    yield expiries(json.loads(json.dumps(endings(config, worker))), time.time())  # as they cross a channel
    worker.stop()
    for sock in sockets.values():
        sock.close()


async def test_everything_that_is_loaded_in_the_order_of_its_end(found: list[ExpiryView], tmp_path: Path) -> None:
    assert [(one["where"], one["kind"], one["name"], one["path"]) for one in found] == [
        ("listener.login.tls", "crl", "CN=users", f"{tmp_path}/users.crl"),
        ("listener.login.tls", "certificate", "CN=login.corp.example", f"{tmp_path}/leaf.pem"),
        ("pool.connectors.tls", "ca", "CN=connectors", f"{tmp_path}/connectors.pem"),
        ("listener.login.tls.mint", "mint", "CN=mint", f"{tmp_path}/mint.pem"),
        ("listener.login.tls", "client_ca", "CN=users", f"{tmp_path}/users.pem"),
    ]


async def test_the_time_left_and_the_date_agree(found: list[ExpiryView]) -> None:
    for one, days in zip(found, (5, 10, 20, 30, 50), strict=True):
        assert days * 86400 - 60 < one["left_seconds"] <= days * 86400
        ends = datetime.fromisoformat(one["expires"])
        assert abs(ends.timestamp() - time.time() - one["left_seconds"]) < 60
