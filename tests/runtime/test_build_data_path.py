"""From a configuration file to the parts of the data path, where a mistake would not show in a request."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from lbproxy.config import load
from lbproxy.net.http.web import WebService
from lbproxy.net.passthrough.connection import PassService
from lbproxy.net.transport.poller import Poller
from lbproxy.runtime.build_data_path import Assembly
from lbproxy.runtime.lane_tls import LaneTls
from lbproxy.runtime.model import Model

FILE = """
server_url = "https://login.test"
[listener.login]
bind = "127.0.0.1:0"
pool = "web"
max_connections_per_address = 7
[listener.raw]
bind = "127.0.0.1:0"
mode = "sni"
[listener.raw.sni]
"login.test" = "raw"
"*.other.test" = "raw"
[pool.web]
backends = [{ name = "c1", url = "http://127.0.0.1:1" }]
send_proxy_protocol = "v2"
retry_buffer = "1KiB"
slow_start = "30s"
retry_budget = "50%"
[pool.raw]
backends = [{ name = "c1", url = "tcp://127.0.0.1:1" }, { name = "c2", url = "HTTPS://127.0.0.1:1" }]
send_proxy_protocol = "v1"
check.kind = "tcp"
"""


@pytest.fixture
async def assembly(tmp_path: Path) -> AsyncIterator[Assembly]:
    path = tmp_path / "lbproxy.toml"
    path.write_text(FILE)
    poller, config = Poller(asyncio.get_running_loop()), load(path)
    lane_tls = LaneTls(config)
    model = Model(config, lane_tls.refuse)
    yield Assembly(config, model, lane_tls, poller, {}, None, lambda: None)
    poller.close()


def listening(assembly: Assembly, name: str, look: Callable[[object], None]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        listener = assembly.listener(name, sock)
        assert listener.options.max_per_address == (7 if name == "login" else 0)
        look(listener.service)


async def test_a_web_listener(assembly: Assembly) -> None:
    def look(service: object) -> None:
        assert isinstance(service, WebService)
        assert (service.options.send_proxy, service.options.retry_buffer) == ("v2", 1024)
        assert service.needs_destination
        assert service.pool.slow_start.seconds == 30
        assert service.pool.retry_budget.ratio == 0.5

    listening(assembly, "login", look)


async def test_a_listener_that_passes_tls_through(assembly: Assembly) -> None:
    def look(service: object) -> None:
        assert isinstance(service, PassService)
        found = {pool.name: pool for pool in service.options.send_proxy or ()}
        raw = found["raw"]
        assert service.options.send_proxy == {found["web"]: "v2", raw: "v1"}
        routed = [service.routes.find(name) for name in ("login.test", "a.other.test", "other.test", "b.a.other.test")]
        assert routed == [raw, raw, None, None]
        assert raw.that_only_pass(False) == raw.backends[1:]
        assert [backend.lanes.options.tls is None for backend in raw.backends] == [True, False]

    listening(assembly, "raw", look)
