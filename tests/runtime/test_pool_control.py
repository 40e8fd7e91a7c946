from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from signal import SIGCONT, SIGSTOP

import pytest

from lbproxy import reasons
from lbproxy.balance.backend import Backend, State
from lbproxy.balance.health import Change, Rules
from lbproxy.balance.member import Member
from lbproxy.balance.operators import Said
from lbproxy.balance.orders import Order
from lbproxy.balance.pool import Pool
from lbproxy.config import load
from lbproxy.runtime.pool_control import PoolControl
from tests.balance.heard import Verdicts
from tests.control.probes.backends import hanging, listening
from tests.control.probes.kerberos.peers import HOST, PRINCIPAL, Corp
from tests.net.peers import until

FILE = """
server_url = "https://login.corp.example"
[listener.login]
bind = "127.0.0.1:0"
pool = "connectors"
[pool.connectors]
backends = [{ name = "c1", url = "http://127.0.0.1:%d" }]
%s
[pool.connectors.check]
kind = "%s"
interval = "1h"
timeout = "%s"
%s
"""

GUARD = """
[pool.connectors.consistency]
interval = "1h"
facts.version = { path = "/", header = "X-Version" }
"""


@asynccontextmanager
async def linked(
    directory: Path, port: int, kind: str = "tcp", within: str = "10s", guard: str = "", tls: str = ""
) -> AsyncIterator[PoolControl]:
    """A pool of one backend on `port`, probed once and then every hour."""
    (directory / "lbproxy.toml").write_text(FILE % (port, tls, kind, within, guard))
    options = load(directory / "lbproxy.toml", {}).pools["connectors"]
    backend = Backend("c1", options.backends[0].url)
    pool_control = PoolControl(Pool("connectors", [backend], Rules()), options, "https://login.corp.example")
    try:
        yield pool_control
    finally:
        await pool_control.stop()


async def changed(pool_control: PoolControl) -> tuple[Backend, Change, object, str]:
    """What the pool tells next."""
    told: asyncio.Queue[tuple[Backend, Change, object, str]] = asyncio.Queue()
    pool_control.pool.observers.append(Verdicts(lambda *change: told.put_nowait(change)))
    async with asyncio.timeout(60):
        change = await told.get()
    pool_control.pool.observers.pop()
    return change


def logged(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str, dict[str, object]]]:
    return [(record.levelno, record.message, vars(record)["fields"]) for record in caplog.records]


def fields(reason: str, detail: str | None) -> dict[str, object]:
    return {"pool": "connectors", "backend": "c1", "reason": reason, "detail": detail}


async def test_a_good_probe_puts_a_backend_into_rotation(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with listening(hanging) as port, linked(tmp_path, port) as pool_control:
        backend, change, reason, _ = await changed(pool_control)
        assert (change, reason, backend.state) == (Change.READMIT, None, State.UP)
        assert repr(pool_control).startswith("<pool_control <pool connectors 1 of 1 in rotation> <Prober of 1 ")
    assert logged(caplog) == [(logging.INFO, "backend_readmitted", fields("probe", "connected"))]


async def test_a_bad_probe_says_what_it_saw(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with linked(tmp_path, port) as pool_control:
        backend, change, _, detail = await changed(pool_control)
        assert (change, backend.state) == (Change.EJECT, State.DOWN)
        assert backend.detail == detail != ""
    assert logged(caplog) == [(logging.WARNING, "backend_ejected", fields("probe", detail))]


async def test_what_users_met_is_logged_with_its_row(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with listening(hanging) as port, linked(tmp_path, port) as pool_control:
        await changed(pool_control)
        [backend] = pool_control.pool.backends
        pool_control.pool.evidence(backend, reasons.CONNECT_REFUSED, 0.0, "Connection refused")
    assert logged(caplog) == [(logging.WARNING, "backend_ejected", fields("connect_refused", "Connection refused"))]


async def test_a_suspicion_is_probed_at_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with listening(hanging) as port, linked(tmp_path, port) as pool_control:
        await changed(pool_control)
        [backend] = pool_control.pool.backends
        before = pool_control.prober.last("c1")
        pool_control.pool.evidence(backend, reasons.RESPONSE_TIMEOUT, 0.0)
        await until(lambda: pool_control.prober.last("c1") is not before)
        assert backend.state is State.UP
    assert logged(caplog)[1:] == [(logging.INFO, "backend_suspected", fields("response_timeout", None))]


class Told:
    """A backend whose answers the test gives; `asked` has an entry for each request that waits for one."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[None] = asyncio.Queue()
        self.answers: asyncio.Queue[bytes] = asyncio.Queue()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.asked.put_nowait(None)
        writer.write(await self.answers.get())

    async def answer(self, status: int) -> None:
        """Answer the next request, as soon as it is there."""
        await self.asked.get()
        self.answers.put_nowait(b"HTTP/1.1 %d -\r\nContent-Length: 0\r\n\r\n" % status)


async def test_suspicions_while_a_probe_is_under_way_ask_for_one_more(tmp_path: Path) -> None:
    """What that probe has seen may be older than they are. It is the one after it that decides."""
    told = Told()
    async with listening(told) as port, linked(tmp_path, port, "http") as pool_control:
        [backend] = pool_control.pool.backends
        await told.answer(200)
        await until(lambda: backend.state is State.UP)
        pool_control.prober.probe_now("c1")
        await until(lambda: not told.asked.empty())
        for _ in range(3):
            pool_control.pool.evidence(backend, reasons.RESPONSE_TIMEOUT, 0.0)
        await told.answer(200)
        await until(lambda: not told.asked.empty())
        assert backend.state is State.UP
        await told.answer(500)
        await until(lambda: backend.state is State.DOWN)


async def test_a_suspect_that_hangs_has_the_time_of_a_probe(tmp_path: Path) -> None:
    told = Told()
    async with listening(told) as port, linked(tmp_path, port, "http", "200ms") as pool_control:
        [backend] = pool_control.pool.backends
        await told.answer(200)
        await until(lambda: backend.state is State.UP)
        pool_control.pool.evidence(backend, reasons.RESPONSE_TIMEOUT, 0.0)
        await until(lambda: backend.state is State.DOWN)
        assert backend.detail == "timed out after 0.2 s"


KERBEROS = """
[pool.connectors.check.kerberos]
principal = "{principal}"
keytab = "{keytab}"
spn = "HTTP@{host}"
"""


async def test_a_key_that_one_refuses_is_judged_as_soon_as_another_was_shown_it(tmp_path: Path, corp: Corp) -> None:
    """The first to refuse it is to blame until the other one refuses it too; then it is asked again, at once."""
    table = KERBEROS.format(principal=PRINCIPAL, keytab=corp.probe_keytab, host=HOST)
    with (
        corp.sample_connector("--keytab", corp.keytab) as slow,
        corp.sample_connector("--keytab", corp.keytab) as quick,
    ):
        corp.rotate()
        slow.process.send_signal(SIGSTOP)
        async with linked(tmp_path, slow.port, "kerberos", guard=table) as pool_control:
            pool_control.pool.apply("dns", [Member("c2", quick.url)])
            await until(lambda: found(pool_control, "c2") == (False, "connector_key"))
            assert found(pool_control, "c1") is None
            slow.process.send_signal(SIGCONT)
            await until(lambda: found(pool_control, "c2") == (True, "spn_key_changed"))


def found(pool_control: PoolControl, name: str) -> tuple[bool, str | None] | None:
    """What the last probe of a backend has found, if it had one."""
    last = pool_control.prober.last(name)
    return None if last is None else (last.ok, last.reason)


class Versions:
    """A backend that says which version it is."""

    def __init__(self) -> None:
        self.version = 1

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nX-Version: %d\r\nContent-Length: 0\r\n\r\n" % self.version)


async def test_what_a_backend_becomes_is_read_in_a_drain_and_at_its_ends(tmp_path: Path) -> None:
    backend = Versions()
    async with listening(backend) as port, linked(tmp_path, port, guard=GUARD) as pool_control:
        guard = pool_control.guard
        assert guard is not None
        await until(lambda: guard.facts("c1") == {"version": "1"})
        [drained] = pool_control.pool.backends
        backend.version = 2
        pool_control.drain(drained)
        assert drained.draining
        await until(lambda: guard.facts("c1") == {"version": "2"})
        backend.version = 20
        pool_control.prober.probe_now("c1")
        await until(lambda: guard.facts("c1") == {"version": "20"})
        backend.version = 3
        pool_control.ready(drained)
        assert not drained.draining
        await until(lambda: guard.facts("c1") == {"version": "3"})


async def test_what_operators_said_to_another_process_is_done_and_looked_at(tmp_path: Path) -> None:
    backend = Versions()
    async with listening(backend) as port, linked(tmp_path, port, guard=GUARD) as pool_control:
        guard = pool_control.guard
        assert guard is not None
        await until(lambda: guard.facts("c1") == {"version": "1"})
        backend.version = 2
        assert pool_control.hear("c1", Said(None, Order(drain=True))) == ()
        assert pool_control.pool.backends[0].draining
        await until(lambda: guard.facts("c1") == {"version": "2"})
        assert pool_control.hear("c1", Said(Member("c1", "http://127.0.0.1:9"), Order())) != ()
        assert not pool_control.pool.backends[0].draining
        assert pool_control.hear("c9", Said(None, Order(weight=2))) == ()
        assert pool_control.pool.orders.keys() == {"c9"}


async def test_without_a_guard_a_drain_is_a_drain(tmp_path: Path) -> None:
    async with listening(hanging) as port, linked(tmp_path, port) as pool_control:
        [backend] = pool_control.pool.backends
        assert pool_control.guard is None
        pool_control.drain(backend)
        assert backend.draining
        pool_control.ready(backend)
        assert not backend.draining


async def test_one_that_joins_is_probed_and_one_that_leaves_is_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, linked(tmp_path, port) as pool_control:
        await pool_control.prober.first_round.wait()
        pool_control.pool.apply("dns", [Member("c9", f"http://127.0.0.1:{port}")])
        assert (await changed(pool_control))[:2] == (pool_control.pool.by_name("c9"), Change.READMIT)
        assert pool_control.probes.binds("c9") is None
        pool_control.pool.apply("dns", [])
        assert pool_control.prober.last("c9") is None
    told = [(name, fields["backend"]) for _, name, fields in logged(caplog) if fields.get("source") == "dns"]
    assert told == [("backend_joined", "c9"), ("backend_left", "c9")]


async def test_one_whose_probe_cannot_be_made_is_down_and_says_why(tmp_path: Path) -> None:
    async with linked(tmp_path, 1, "tls", tls='tls = { ca = "none.pem" }') as pool_control:
        pool_control.pool.apply("dns", [Member("c9", "https://127.0.0.1:1")])
        await until(lambda: pool_control.prober.last("c9"))
        last = pool_control.prober.last("c9")
        assert last is not None
        assert (last.ok, "pool.connectors.tls: its files cannot be used" in last.detail) == (False, True)


async def test_what_a_backend_that_leaves_has_in_all_processes_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With workers this process has no request of its own."""
    caplog.set_level(logging.INFO)
    (tmp_path / "lbproxy.toml").write_text(FILE % (1, "", "tcp", "10s", ""))
    options = load(tmp_path / "lbproxy.toml", {}).pools["connectors"]
    pool = Pool("connectors", [Backend("c1", options.backends[0].url)], Rules())
    counted = {"active": 2}
    control = PoolControl(pool, options, "https://login.corp.example", counted=lambda pool, backend: counted)
    pool.leave("c1")
    await control.stop()
    assert [fields["active"] for _, name, fields in logged(caplog) if name == "backend_left"] == [2]
