from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lbproxy.config import load
from lbproxy.runtime.data_path import DataPath
from lbproxy.status.tls_files import tls_files
from tests.net.peers import until
from tests.pki import Authority
from tests.process.places import listen_all
from tests.status.test_certificate_expiry import FILE

ROOT = Authority.root("users")


@pytest.fixture
async def data_path(tmp_path: Path) -> AsyncIterator[DataPath]:
    """That of a listener with TLS, one without, and a pool with https backends."""
    ROOT.server("login.corp.example").write(tmp_path)
    ROOT.write_certificate(tmp_path / "connectors.pem")
    file = FILE.replace('client_certificate = "optional"', 'client_certificate = "none"')
    left_out = ("client_c", "client_i", "ca_", "[listener.login.tls.m")
    kept = [line for line in file.splitlines() if not line.startswith(left_out)]
    (tmp_path / "lbproxy.toml").write_text("\n".join(kept))
    config = load(tmp_path / "lbproxy.toml", {})
    sockets = listen_all(config)
    path = DataPath(config, sockets, lambda record: None, False)
    yield path
    path.stop()
    for sock in sockets.values():
        sock.close()


async def test_what_was_read_is_in_use(data_path: DataPath) -> None:
    assert tls_files(data_path) == [
        {"where": "listener.login.tls", "refused": None},
        {"where": "pool.connectors.tls", "refused": None},
    ]


async def test_what_cannot_be_used_is_named(data_path: DataPath, tmp_path: Path) -> None:
    before = time.time()
    (tmp_path / "connectors.pem").write_text("no certificate")
    ROOT.server("login.corp.example").write(tmp_path, "other")
    (tmp_path / "other.pem").replace(tmp_path / "leaf.pem")
    data_path.keep_time()
    await until(lambda: all(one["refused"] for one in tls_files(data_path)))
    listener, pool = (one["refused"] for one in tls_files(data_path))
    assert listener is not None
    assert pool is not None
    assert f"{tmp_path}/leaf.key cannot be used with {tmp_path}/leaf.pem" in listener["why"]
    assert f"{tmp_path}/connectors.pem holds no usable PEM certificate" in pool["why"]
    for refused in (listener, pool):
        assert before <= refused["since"] <= time.time()
