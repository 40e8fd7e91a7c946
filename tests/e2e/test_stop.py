"""TERM lets requests finish, INT and a second TERM do not wait; the exit status tells."""

from __future__ import annotations

import asyncio
import contextlib
from signal import SIGINT, SIGTERM, Signals

import pytest

from tests.ports import free_port

from .backend import Lane, answer
from .balancer import command
from .client import request
from .configuration import toml
from .conftest import Backends, Balance
from .message import Cut


class Gate:
    """A script that answers once it is opened."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()

    async def __call__(self, lane: Lane) -> None:
        while await lane.request():
            await self.opened.wait()
            await lane.send(answer(b"finished"))


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_term_lets_requests_finish(backends: Backends, balance: Balance, tls: bool) -> None:
    gate = Gate()
    [backend] = await backends(gate)
    balancer = await balance(backend, tls=tls, drain_timeout="20s")
    async with await balancer.connect() as running, await balancer.connect() as idle:
        await running.send(request("/running"))
        await backend.until(lambda: backend.requests)
        balancer.signal(SIGTERM)
        assert await idle.rest() == b""
        with pytest.raises(ConnectionRefusedError):
            await (await balancer.connect(tls=None)).close()
        gate.opened.set()
        response = await running.response()
        assert (response.body, response.closes) == (b"finished", True)
        await running.closed()
        assert await balancer.exited() == 0


async def test_term_answers_what_is_pipelined_no_more(backends: Backends, balance: Balance) -> None:
    """The running request is answered; a second one that was already sent is answered or dropped, never cut."""
    gate = Gate()
    [backend] = await backends(gate)
    balancer = await balance(backend, drain_timeout="20s")
    async with await balancer.connect() as client, await balancer.connect() as idle:
        await client.send(request("/1") + request("/2"))
        await backend.until(lambda: backend.requests)
        balancer.signal(SIGTERM)
        assert await idle.rest() == b""
        gate.opened.set()
        assert (await client.response()).body == b"finished"
        with contextlib.suppress(Cut):
            assert (await client.response()).body == b"finished"
        assert await balancer.exited() == 0


async def test_term_waits_for_a_big_answer(backends: Backends, balance: Balance) -> None:
    size, idle_closed = 20_000_000, asyncio.Event()

    async def big(lane: Lane) -> None:
        await lane.request()
        await lane.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        await idle_closed.wait()
        await lane.send(bytes(size))

    balancer = await balance(*await backends(big), drain_timeout="20s")
    async with await balancer.connect() as client, await balancer.connect() as idle:
        await client.send(request())
        receiving = asyncio.ensure_future(client.digest())
        await asyncio.sleep(0)
        balancer.signal(SIGTERM)
        assert await idle.rest() == b""
        idle_closed.set()
        assert (await receiving)[1] == size
        assert await balancer.exited() == 0


async def test_drain_timeout_cuts(backends: Backends, balance: Balance) -> None:
    [backend] = await backends(Gate())
    balancer = await balance(backend, drain_timeout="300ms")
    async with await balancer.connect() as client:
        await client.send(request("/slow"))
        await backend.until(lambda: backend.requests)
        balancer.signal(SIGTERM)
        with contextlib.suppress(Cut):
            assert (await client.response()).status == 503
        assert await balancer.exited() == 0
    [record] = await balancer.accessed(target="/slow")
    assert record["reason"] == "shutdown"


@pytest.mark.parametrize("second", [SIGTERM, SIGINT])
async def test_a_second_signal_ends_at_once(backends: Backends, balance: Balance, second: Signals) -> None:
    [backend] = await backends(Gate())
    balancer = await balance(backend, drain_timeout="1h")
    async with await balancer.connect() as client, await balancer.connect() as idle:
        await client.send(request("/slow"))
        await backend.until(lambda: backend.requests)
        balancer.signal(SIGTERM)
        assert await idle.rest() == b""  # the first one has been heard
        balancer.signal(second)
        assert await balancer.exited() == 0


async def test_int_ends_at_once(backends: Backends, balance: Balance) -> None:
    [backend] = await backends(Gate())
    balancer = await balance(backend, drain_timeout="1h")
    async with await balancer.connect() as client:
        await client.send(request("/slow"))
        await backend.until(lambda: backend.requests)
        balancer.signal(SIGINT)
        assert await balancer.exited() == 0


async def test_term_with_nothing_to_do(backends: Backends, balance: Balance) -> None:
    balancer = await balance(*await backends(), drain_timeout="1h")
    balancer.signal(SIGTERM)
    assert await balancer.exited() == 0


async def test_the_admin_socket_is_removed_at_the_end(backends: Backends, balance: Balance) -> None:
    balancer = await balance(*await backends())
    await balancer.status()
    await balancer.stop()
    assert not (balancer.path.parent / "admin.sock").exists()


async def test_an_address_in_use_cannot_start(backends: Backends, balance: Balance) -> None:
    balancer = await balance(*await backends())
    other = balancer.path.with_name("other.toml")
    other.write_text(toml({**balancer.config, "admin": {"bind": f"127.0.0.1:{free_port()}"}}))
    code, out, err = await command("run", "-c", str(other))
    assert code == 1
    assert str(balancer.address[1]) in err
    assert "Traceback" not in out + err


async def test_a_bad_file_cannot_start(backends: Backends, balance: Balance) -> None:
    balancer = await balance(*await backends())
    other = balancer.path.with_name("other.toml")
    other.write_text(balancer.path.read_text() + '\n[listener.login.tls]\ncertificate = "none.pem"\nkeys = 1\n')
    for name in ("run", "check"):
        code, out, err = await command(name, "-c", str(other))
        assert code == 1
        assert "listener.login.tls.keys" in out + err
        assert "Traceback" not in out + err
