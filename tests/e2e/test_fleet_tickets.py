"""TLS sessions resume on every replica of a fleet: real balancers, a real etcd, OpenSSL's own client and Python's."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from signal import SIGHUP, SIGUSR2
from typing import Any

import pytest

from lbproxy.control.etcd import Access, Etcd
from lbproxy.control.etcd.mirror import Mirror
from lbproxy.control.fleet.fleet_secret import FleetSecret
from lbproxy.control.fleet.shared_tickets import SharedTickets
from tests.etcd_server import node
from tests.ports import free_port

from .backend import serve
from .balancer import Balancer
from .client import HOST, request
from .conftest import Backends
from .programs import s_client
from .test_fleet import Fleet, fleet_name, in_fleet, named, replica, told
from .users import Users

__all__ = ["fleet_name", "replica"]

ASK = request("/", "GET", "Connection: close")


class Door:
    """The listener of replicas, which all have the same files; `secret` is the file of the fleet's secret."""

    def __init__(self, directory: Path) -> None:
        self.users = Users(directory)
        self.secret = directory / "fleet.secret"
        self.secret.write_bytes(os.urandom(64))
        self.secret.chmod(0o600)
        self.client = self.users.context()

    def listener(self) -> dict[str, Any]:
        """Keys of the listener, which asks for no certificate."""
        plain = {"certificate": str(self.users.login.chain), "key": str(self.users.login.key)}
        return {"bind": f"127.0.0.1:{free_port()}", "tls": plain}

    def connect(self, address: tuple[str, int], session: ssl.SSLSession | None = None) -> tuple[bool, ssl.SSLSession]:
        """Whether it is the session that was given, after one request; and what may resume from then on."""
        with (
            socket.create_connection(address) as sock,
            self.client.wrap_socket(sock, server_hostname=HOST, session=session) as tls,
        ):
            tls.sendall(ASK)
            assert tls.recv(1 << 16).startswith(b"HTTP/1.1 200 OK")
            assert tls.session is not None
            return bool(tls.session_reused), tls.session

    async def resumes(self, session: ssl.SSLSession, balancer: Balancer) -> bool:
        return (await asyncio.to_thread(self.connect, balancer.address, session))[0]

    async def begins(self, balancer: Balancer) -> ssl.SSLSession:
        reused, session = await asyncio.to_thread(self.connect, balancer.address)
        assert not reused
        return session


@pytest.fixture
def door(directory: Path) -> Door:
    return Door(directory)


async def shares(balancer: Balancer) -> dict[str, Any]:
    """What it says of its keys, when it shares them."""
    tickets = (await in_fleet(balancer, lambda fleet: fleet["tickets"] and fleet["tickets"]["shared"]))["tickets"]
    found: dict[str, Any] = tickets
    return found


@asynccontextmanager
async def third(etcd_url: str, fleet: str, secret: bytes) -> AsyncIterator[SharedTickets]:
    """Another replica of the fleet, which shares its keys and is the test."""
    etcd = Etcd(Access((etcd_url,)))
    tickets = SharedTickets(etcd, fleet, FleetSecret(fleet, secret), lambda *_: None)
    async with Mirror(etcd, tickets.prefix, lambda _: None) as mirror:
        tickets.see(await mirror.next())
        yield tickets
    await etcd.close()


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_session_resumes_at_another_replica_through_rotation_reload_and_upgrade(
    backends: Backends, replica: Fleet, door: Door, etcd_url: str, fleet_name: str, workers: int
) -> None:
    [backend] = await backends(serve)
    shared = {"name": fleet_name, "etcd": [etcd_url], "lease": "2s", "secret_file": str(door.secret)}
    one, other = [
        await replica(
            f"lb{n}", backend, listener=door.listener(), fleet={**shared, "replica": f"lb{n}"}, workers=workers
        )
        for n in (1, 2)
    ]
    first = (await shares(one))["key"]
    assert (await shares(other))["key"] == first
    session = await door.begins(one)
    assert await door.resumes(session, other)
    assert await door.resumes(await door.begins(other), one)
    saved = door.secret.parent / "session"
    options = ["-CAfile", door.users.server_ca, "-tls1_2"]
    assert not (await s_client(one.address, *options, "-sess_out", saved, asks=ASK)).resumed
    assert (await s_client(other.address, *options, "-sess_in", saved, asks=ASK)).resumed

    async with third(etcd_url, fleet_name, door.secret.read_bytes()) as another:
        assert await another.rotate()
    for balancer in (one, other):
        await in_fleet(balancer, lambda fleet: fleet["tickets"]["key"] == first + 1)
        assert await door.resumes(session, balancer), "the key before still opens"
    newer = await door.begins(one)
    assert await door.resumes(newer, other)

    for signal, balancer in ((SIGHUP, one), (SIGUSR2, other)):
        balancer.signal(signal)
        await balancer.until(lambda seen: seen["generation"]["number"] > 1)
        assert await door.resumes(newer, balancer)
    assert await door.resumes(await door.begins(other), one)
    page, mark = await told("fleet", "-c", str(one.path)), (await shares(one))["secret"]
    assert f"TLS sessions resume on every replica that has secret_file {mark}: key " in page
    everything = "\n".join([*one.log, *other.log, str(await one.status()), page])
    assert door.secret.read_bytes().hex() not in everything


async def test_a_listener_that_asks_for_certificates_resumes_nowhere_else(
    backends: Backends, replica: Fleet, door: Door, etcd_url: str, fleet_name: str
) -> None:
    [backend] = await backends(serve)
    shared = {"name": fleet_name, "etcd": [etcd_url], "lease": "2s", "secret_file": str(door.secret)}
    listener = {**door.listener(), "tls": door.users.tls(required=False)}
    one, other = [
        await replica(f"lb{n}", backend, fleet={**shared, "replica": f"lb{n}"}, listener=listener | {"bind": bind})
        for n, bind in ((n, f"127.0.0.1:{free_port()}") for n in (1, 2))
    ]
    await shares(one)
    await shares(other)
    session = await door.begins(one)
    assert await door.resumes(session, one)
    assert not await door.resumes(session, other)


async def test_a_replica_with_another_secret_goes_on_with_keys_of_its_own(
    backends: Backends, replica: Fleet, door: Door, etcd_url: str, fleet_name: str, directory: Path
) -> None:
    """Loudly. And when it has the right one, a reload is all that it takes."""
    [backend] = await backends(serve)
    wrong = directory / "wrong.secret"
    wrong.write_bytes(os.urandom(64))
    shared = {"name": fleet_name, "etcd": [etcd_url], "lease": "2s"}
    one, other = [
        await replica(
            f"lb{n}",
            backend,
            listener=door.listener(),
            fleet={**shared, "replica": f"lb{n}", "secret_file": str(file)},
        )
        for n, file in ((1, door.secret), (2, wrong))
    ]
    await other.logged("ERROR fleet_secret_differs", "replica=lb1")
    await one.logged("ERROR fleet_secret_differs", "replica=lb2")
    await shares(one)
    await shares(other)
    session, theirs = await door.begins(one), await door.begins(other)
    assert not await door.resumes(session, other)
    assert await door.resumes(theirs, other)
    differs = named(await in_fleet(one, lambda fleet: named(fleet, "lb2")["differs"]), "lb2")["differs"]
    assert [each["what"] for each in differs] == ["secret_file"]
    assert re.search(r"lb2: secret_file \w{16}, the others have several", await told("fleet", "-c", str(one.path)))
    wrong.write_bytes(door.secret.read_bytes())
    other.signal(SIGHUP)
    await in_fleet(one, lambda fleet: named(fleet, "lb2") and not named(fleet, "lb2")["differs"])
    await shares(other)
    assert await door.resumes(session, other)


async def test_keys_outlive_etcd(
    backends: Backends, replica: Fleet, door: Door, fleet_name: str, tmp_path: Path
) -> None:
    [backend] = await backends(serve)
    with node(tmp_path) as etcd:
        shared = {"name": fleet_name, "etcd": [etcd.url], "lease": "2s", "secret_file": str(door.secret)}
        one, other = [
            await replica(f"lb{n}", backend, listener=door.listener(), fleet={**shared, "replica": f"lb{n}"})
            for n in (1, 2)
        ]
        await shares(one)
        await shares(other)
        session = await door.begins(one)
        await asyncio.to_thread(etcd.kill)
        await one.logged("ERROR fleet_unreachable")
        await other.logged("ERROR fleet_unreachable")
        assert await door.resumes(session, other)
        other.signal(SIGHUP)
        await other.until(lambda seen: seen["generation"]["number"] == 2)
        assert await door.resumes(session, other)
        assert await door.resumes(await door.begins(other), one)
        await one.stop()
        await other.stop()
