"""From a configuration file to the parts of the data path, where a mistake would not show in a request."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import trustme

from lbproxy.config import load
from lbproxy.net.http.web import WebService
from lbproxy.net.passthrough.connection import PassService
from lbproxy.net.transport.poller import Poller
from lbproxy.runtime.build_data_path import Assembly
from lbproxy.runtime.lane_tls import LaneTls
from lbproxy.runtime.model import Model
from tests.net.tls.test_ticket_keys import connect

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

TLS_FILE = """
server_url = "https://login.test"
listener.one = { bind = "127.0.0.1:0", pool = "web", tls = { certificate = "c.pem", key = "k.pem" } }
listener.two = { bind = "127.0.0.1:0", pool = "web", tls = { certificate = "c.pem", key = "k.pem" } }
pool.web.backends = [{ name = "c1", url = "http://127.0.0.1:1" }]
"""


@pytest.fixture
async def assembly(tmp_path: Path) -> AsyncIterator[Assembly]:
    path = tmp_path / "lbproxy.toml"
    path.write_text(FILE)
    poller, config = Poller(asyncio.get_running_loop()), load(path)
    lane_tls = LaneTls(config)
    model = Model(config, lane_tls.refuse)
    yield Assembly(config, model, lane_tls, poller, {}, None, lambda _: None, lambda: None)
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


async def test_secrets_of_session_tickets_reach_the_listeners_and_each_has_keys_of_its_own(tmp_path: Path) -> None:
    """A session that began at one listener resumes there under each secret that is known, and at no other one."""
    ca = trustme.CA()
    leaf = ca.issue_cert("login.test")
    leaf.private_key_pem.write_to_path(tmp_path / "k.pem")
    leaf.cert_chain_pems[0].write_to_path(tmp_path / "c.pem")
    path = tmp_path / "lbproxy.toml"
    path.write_text(TLS_FILE)
    poller, config = Poller(asyncio.get_running_loop()), load(path)
    lane_tls = LaneTls(config)
    made = Assembly(
        config, Model(config, lane_tls.refuse), lane_tls, poller, {}, None, lambda _: None, lambda: None, [b"own"]
    )
    with socket.create_server(("127.0.0.1", 0)) as sock:
        for name in ("one", "two"):
            made.listener(name, sock)
    one, two = (made.server_tls[name].context for name in ("one", "two"))
    client = ssl.create_default_context()
    ca.configure_trust(client)
    first = connect(one, client)
    made.seal([b"shared", b"own"])
    second = connect(one, client, first.session)
    assert second.session_reused
    assert not connect(two, client, second.session).session_reused
    made.seal([b"shared"])
    assert connect(one, client, second.session).session_reused
    assert not connect(one, client, first.session).session_reused
    poller.close()
