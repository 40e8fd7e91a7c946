from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, is_typeddict

import pytest

from lbproxy import __version__, reasons
from lbproxy.balance.orders import Order, Stamp
from lbproxy.config import Config, load
from lbproxy.control import counts
from lbproxy.control import snapshot as views
from lbproxy.control.access_log import AccessLog
from lbproxy.control.snapshot import Snapshot
from lbproxy.runtime.data_path import DataPath
from lbproxy.runtime.pool_control import PoolControl
from lbproxy.status.counters import of_backend, take, take_model
from lbproxy.status.served import Served
from lbproxy.status.snapshot import snapshot
from lbproxy.status.tls_report import NOTHING, tls_report
from lbproxy.status.windows import NOTHING_RECENT, Windows
from tests.control.probes.backends import listening
from tests.net.peers import until
from tests.pki import Authority
from tests.process.places import listen_all
from tests.status.test_served import ORIGIN

AUTHORITY = Authority.root()

FILE = """
server_url = "https://login.corp.example"
[listener.login]
bind = "127.0.0.1:0"
pool = "connectors"
[listener.other]
bind = "127.0.0.1:0"
pool = "connectors"
allow = ["192.0.2.0/24"]
[listener.secure]
bind = "127.0.0.1:0"
pool = "connectors"
tls = { certificate = "leaf.pem", key = "leaf.key" }
[pool.connectors]
backends = [{ name = "c1", url = "http://127.0.0.1:%d" }]
when_all_down = "refuse"
check = { kind = "tcp", interval = "1h" }
[access_log]
path = "access.log"
"""
REQUEST = b"GET / HTTP/1.1\r\nHost: login.corp.example\r\n"


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A connector that answers with 401, as Windows' do."""
    while await reader.readuntil(b"\r\n\r\n"):
        writer.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")


def served() -> Served:
    served = Served(2, ORIGIN, "serving")
    served.reloaded(["x: missing"], 1795246810.25)
    return served


@dataclass
class Running:
    config: Config
    worker: DataPath
    pool_controls: dict[str, PoolControl]
    access_log: AccessLog
    windows: Windows

    def view(self) -> Snapshot:
        tls = tls_report(self.config, self.worker, time.time())
        counted = take(self.worker, self.access_log)
        return snapshot(self.config, self.pool_controls, served(), 12.5, counted, tls, self.windows)

    async def ask(self, listener: str, data: bytes, tls: ssl.SSLContext | None = None) -> bytes:
        """Everything that a client gets until it is closed."""
        port = self.worker.listeners[listener].socket.getsockname()[1]
        name = "login.corp.example" if tls else None
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls, server_hostname=name)
        writer.write(data)
        received = await reader.read()
        writer.close()
        return received


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    """A data path in front of one connector, which was probed once."""
    async with listening(serve) as port:
        (tmp_path / "lbproxy.toml").write_text(FILE % port)
        AUTHORITY.server("login.corp.example").write(tmp_path)
        config = load(tmp_path / "lbproxy.toml", {})
        sockets = listen_all(config)
        access_log = AccessLog(str(config.access_log.path))
        worker = DataPath(config, sockets, access_log.write, access_log.enabled)
        [backend] = worker.backends()
        backend.lanes.address = socket.AF_INET, ("127.0.0.1", port)
        worker.start()
        [pool] = worker.pools.values()
        pool_control = PoolControl(pool, config.pools["connectors"], config.server_url)
        await pool_control.prober.first_round.wait()
        windows = Windows(worker.pools, lambda pool, backend: {**of_backend(backend)})
        worker.model.on_tick.append(windows.tick)
        yield Running(config, worker, {"connectors": pool_control}, access_log, windows)
        await pool_control.stop()
        worker.stop()
        access_log.close()
        for sock in sockets.values():
            sock.close()


def assert_shape(value: Any, shape: Any) -> None:
    """`value` has the keys of the TypedDict `shape`, all the way down."""
    if is_typeddict(shape):
        assert set(value) == set(shape.__annotations__), shape.__name__


async def test_has_every_key_and_crosses_a_socket(running: Running) -> None:
    view = running.view()
    assert_shape(view, views.Snapshot)
    assert_shape(view["listeners"][0], views.ListenerView)
    assert_shape(view["pools"][0], views.PoolView)
    assert_shape(view["pools"][0]["backends"][0], views.BackendView)
    assert_shape(view["pools"][0]["backends"][0]["probe"], views.ProbeView)
    assert_shape(view["request_seconds"], counts.Durations)
    assert_shape(view["access_log"], counts.AccessLogView)
    assert_shape(view["listeners"][2]["tls_handshakes"], counts.HandshakesView)
    assert_shape(view["pools"][0]["retry_budget"], counts.RetryBudgetView)
    assert_shape(view["expiries"][0], views.ExpiryView)
    assert view["tls_files"] == [{"where": "listener.secure.tls", "refused": None}]
    parsed = json.loads(json.dumps(view))
    assert parsed["pools"] == view["pools"]
    assert (view["version"], view["pid"], view["state"], view["uptime_seconds"]) == (
        __version__,
        4711,
        "serving",
        12.5,
    )
    assert view["server_url"] == "https://login.corp.example"
    assert view["generation"] == {"number": 2, "pid": os.getpid()}
    file, loaded = "/etc/lbproxy/lbproxy.toml", 1795246800.5
    reload = {"ended": 1795246810.25, "ok": False, "problems": ["x: missing"]}
    assert view["openssl"] == {"version": ssl.OPENSSL_VERSION, "direct": True}
    assert_shape(view["openssl"], views.OpenSslView)
    assert view["configuration"] == {"file": file, "loaded": loaded, "last_reload": reload}
    assert_shape(view["configuration"], views.ConfigurationView)


async def test_a_backend_that_was_probed(running: Running) -> None:
    [pool] = running.view()["pools"]
    [backend] = pool["backends"]
    assert (pool["name"], pool["check"], pool["when_all_down"], pool["tickets"]) == (
        "connectors",
        "tcp",
        "refuse",
        None,
    )
    assert (backend["state"], backend["in_rotation"], backend["draining"]) == ("up", True, False)
    assert backend["since_seconds"] >= 0
    assert backend["probe"] is not None
    assert backend["probe"]["ok"]


async def test_requests_are_counted_everywhere(running: Running) -> None:
    await running.ask("login", REQUEST + b"\r\n" + REQUEST + b"Connection: close\r\n\r\n")
    await running.ask("login", REQUEST.replace(b"login", b"other") + b"Connection: close\r\n\r\n")
    await running.ask("other", b"")
    view = running.view()
    [backend] = view["pools"][0]["backends"]
    assert (backend["requests"], backend["responses"]["4xx"], backend["lanes_opened"]) == (2, 2, 1)
    assert (backend["active"], backend["idle_lanes"], backend["private_lanes"]) == (0, 1, 0)
    assert view["ends"] == {"done": 2, "misdirected": 1}
    login, other, _ = view["listeners"]
    assert (login["ends"], other["ends"]) == ({"done": 2, "misdirected": 1}, {})
    assert (login["name"], login["requests"], login["accepted"], login["refused"]) == ("login", 3, 2, {})
    assert (other["requests"], other["accepted"], other["refused"]) == (0, 0, {"not_allowed": 1})
    durations = view["request_seconds"]
    assert durations["count"] == 3
    assert durations["sum"] > 0
    assert [count for _, count in durations["buckets"]] == sorted(count for _, count in durations["buckets"])


async def test_without_windows_nothing_is_recent(running: Running) -> None:
    running.windows.tick(time.monotonic())
    await running.ask("login", REQUEST + b"Connection: close\r\n\r\n")
    [whole] = running.view()["pools"][0]["backends"]
    assert whole["recent"]["minute"]["answers"] == 1
    counted, tls = take(running.worker, running.access_log), tls_report(running.config, running.worker, time.time())
    view = snapshot(running.config, running.pool_controls, served(), 12.5, counted, tls, None)
    [bare] = view["pools"][0]["backends"]
    assert bare["recent"] == NOTHING_RECENT
    assert bare["responses"] == whole["responses"]


async def test_handshakes_with_clients_are_counted_where_tls_ends(running: Running, tmp_path: Path) -> None:
    trusting = ssl.create_default_context(cafile=AUTHORITY.write_certificate(tmp_path / "ca.pem"))
    answer = await running.ask("secure", REQUEST + b"Connection: close\r\n\r\n", trusting)
    assert answer.startswith(b"HTTP/1.1 401 ")
    with suppress(ConnectionResetError):
        await running.ask("secure", b"GET / HTTP/1.1\r\n\r\n")
    login, _, secure = running.view()["listeners"]
    assert (login["tls"], login["tls_handshakes"]) == (False, None)
    assert (secure["tls"], secure["tls_handshakes"]) == (True, {"full": 1, "resumed": 0, "failed": 1})
    assert secure["ends"] == {"done": 1, "tls_failed": 1}
    assert running.view()["listeners"][2] == secure  # to look changes nothing


async def test_what_a_backend_does_not_have(running: Running) -> None:
    [backend] = running.view()["pools"][0]["backends"]
    assert (backend["weight"], backend["ramp"], backend["standby"], backend["source"]) == (1, 1.0, False, "file")
    assert (backend["held_seconds"], backend["inconsistent"]) == (0.0, "")
    assert (backend["tls_handshakes"], backend["tunnels"]) == (None, 0)
    assert (backend["facts"], backend["unknown_facts"]) == ({}, {})
    assert running.view()["pools"][0]["consistency"] is None


async def test_a_backend_that_is_down_says_why(running: Running) -> None:
    [pool] = running.worker.pools.values()
    [backend] = pool.backends
    pool.evidence(backend, reasons.CONNECT_REFUSED, 0.0, "a detail")
    [seen] = running.view()["pools"][0]["backends"]
    assert (seen["state"], seen["in_rotation"]) == ("down", False)
    why = reasons.CONNECT_REFUSED
    assert (seen["reason"], seen["reason_text"], seen["detail"]) == (why.label, why.text, "a detail")
    assert (seen["errors"], seen["ejections"]) == (1, 1)


async def test_orders_without_a_backend_are_there(running: Running) -> None:
    control = running.pool_controls["connectors"]
    stamp = Stamp("olga", 100.0)
    control.pool.order("c9", Order(drain=True, weight=2, stamps={"drain": stamp}))
    [pool] = running.view()["pools"]
    assert_shape(pool["waiting_orders"][0], views.WaitingOrderView)
    assert pool["waiting_orders"] == [
        {
            "name": "c9",
            "draining": True,
            "weight": 2,
            "standby": None,
            "ordered": {"drain": {"by": "olga", "at": 100.0}},
        }
    ]


async def test_an_end_is_counted_once(running: Running) -> None:
    """Though the lane ends with its request."""
    port = running.worker.listeners["login"].socket.getsockname()[1]
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(REQUEST + b"Content-Length: 5\r\n\r\n")
    [backend] = running.worker.backends()
    await until(lambda: backend.active)
    writer.transport.abort()
    await until(lambda: not backend.active)
    assert running.view()["ends"] == {"client_gone": 1}


async def test_a_process_that_only_decides_has_nothing_else_of_its_own(running: Running) -> None:
    """Where there are workers: what they have counted is added, and they know of TLS."""
    [pool] = running.worker.pools.values()
    pool.evidence(pool.backends[0], reasons.CONNECT_REFUSED, 0.0)
    counted = take_model(running.worker.model)
    whole = running.view()
    view = snapshot(running.config, running.pool_controls, served(), 12.5, counted, NOTHING, Windows({}, lambda *_: {}))
    assert [one.keys() for one in view["listeners"]] == [one.keys() for one in whole["listeners"]]
    assert view["listeners"][2]["tls_handshakes"] == {"full": 0, "resumed": 0, "failed": 0}
    assert view["listeners"][0]["tls_handshakes"] is None
    assert view["pools"][0]["retry_budget"] == {"used": 0, "limit": 0}
    [backend] = view["pools"][0]["backends"]
    assert backend.keys() == whole["pools"][0]["backends"][0].keys()
    assert (backend["ejections"], backend["errors"], backend["requests"]) == (1, 0, 0)
    assert backend["responses"] == {"1xx": 0, "2xx": 0, "3xx": 0, "4xx": 0, "5xx": 0}
    assert (view["expiries"], view["tls_files"], view["access_log"]) == ([], [], {"written": 0, "dropped": 0})
    assert view["request_seconds"] == {"buckets": [], "count": 0, "sum": 0.0}
    assert view["loop_lag"]["seconds"]["buckets"] == whole["loop_lag"]["seconds"]["buckets"]
