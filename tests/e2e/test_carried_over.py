"""What a reload does not forget, beside what `test_reload` has: users' sessions, minted certificates, judgements."""

from __future__ import annotations

import ssl
from pathlib import Path
from signal import SIGUSR2

import pytest

from tests.pki import Authority

from .backend import Lane, ScriptedBackend, answer
from .balancer import Balancer, running
from .client import request
from .conftest import Backends, Balance
from .crowd import serve_posts
from .programs import s_client
from .reloads import changed, reload, rewrite
from .test_consistency import fleet, guard
from .tls import Authority as Issuer
from .users import Users, gate_config

CLOSING = request("/", "GET", "Connection: close")


class Session:
    """A TLS session of `openssl s_client`, kept in a file."""

    def __init__(self, balancer: Balancer, path: Path, version: str) -> None:
        self._balancer = balancer
        self._path = path
        self._version = version

    async def is_resumed(self) -> bool:
        """Whether a new connection resumes it, if there is one; its own session is the next to be offered."""
        offered = ["-sess_in", self._path] if self._path.exists() else []
        options = [f"-tls{self._version}", "-sess_out", self._path, *offered]
        shown = await s_client(self._balancer.address, *options, asks=CLOSING)
        assert "200 OK" in shown.text
        return shown.resumed


@pytest.mark.parametrize("version", ["1_2", "1_3"])
async def test_a_session_is_resumed_everywhere(
    backends: Backends, balance: Balance, directory: Path, authority: Issuer, version: str
) -> None:
    """On any worker, after reloads and after an upgrade; but not once the certificate is another."""
    balancer = await balance(*await backends(serve_posts), tls=True, workers=2)
    session = Session(balancer, directory / "session", version)
    assert [await session.is_resumed() for _ in range(6)] == [False] + [True] * 5
    for workers in (1, 2):
        await rewrite(balancer, workers=workers)
        await reload(balancer)
        assert await session.is_resumed()
    [old] = balancer.generations
    balancer.signal(SIGUSR2)
    await changed(balancer, old)
    assert [await session.is_resumed() for _ in range(4)] == [True] * 4
    authority.write(directory, "login.test", "127.0.0.1")
    await reload(balancer)
    assert [await session.is_resumed() for _ in range(2)] == [False, True]


async def test_minted_certificates_are_used_on(backends: Backends, directory: Path) -> None:
    users, mint = Users(directory), Authority.root("mint", path_length=0)
    (directory / "mint.key").write_bytes(mint.key_pem)
    ca = mint.write_certificate(directory / "mint.pem")
    seen: set[bytes] = set()

    async def looks(lane: Lane) -> None:
        while await lane.request():
            seen.add(lane.writer.get_extra_info("ssl_object").getpeercert(True))
            await lane.send(answer(b"ok"))

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(users.login.chain, users.login.key)
    context.load_verify_locations(ca)
    context.verify_mode = ssl.CERT_REQUIRED
    backend = ScriptedBackend("c1", looks, context)
    await backend.start()
    table = {"ca_certificate": str(ca), "ca_key": str(directory / "mint.key")}
    config = gate_config(users, backend, client_identity="mint", mint=table)
    config["pool"]["connectors"]["tls"] = {"ca": str(users.server_ca), "server_name": "login.test"}
    alice = users.context(users.staff.issue("alice"))
    async with running(config, directory, alice) as balancer:
        for workers in (2, 1, 2):
            assert (await balancer.ask()).status == 200
            await rewrite(balancer, workers=workers)
            await reload(balancer)
        for _ in range(6):
            assert (await balancer.ask()).status == 200
    await backend.stop()
    assert len(seen) == 1


async def test_a_slow_start_goes_on(backends: Backends, balance: Balance) -> None:
    one, two = await backends(serve_posts, serve_posts)
    check = {"kind": "tcp", "interval": "100ms", "rise": 1}
    balancer = await balance(one, two, pool={"check": check, "slow_start": "1h", "readmit_backoff": "0s"})
    await two.stop()
    await balancer.logged("backend_ejected", "backend=c2")
    await two.start()
    await balancer.logged("backend_readmitted", "backend=c2", count=2)
    for workers in (2, 2, 1):
        await rewrite(balancer, workers=workers)
        await reload(balancer)
        weights = {name: one["ramp"] for name, one in (await balancer.backends()).items()}
        assert weights["c1"] == 1.0
        assert weights["c2"] < 0.5
        before = len(two.requests)
        for _ in range(20):
            await balancer.ask()
        assert len(two.requests) - before < 8  # each worker's first turns may be its


async def test_who_is_inconsistent_stays_out(balance: Balance, directory: Path) -> None:
    async with fleet(directory, *[("--version", "1.7.0")] * 2, ("--version", "1.8.0")) as instances:
        balancer = await balance(*instances.members, pool=guard("eject-minority"))
        await balancer.logged("backend_ejected", "backend=c3", "reason=consistency")
        for workers in (2, 1):
            await rewrite(balancer, workers=workers)
            await reload(balancer)
            assert (await balancer.backends())["c3"]["inconsistent"]
            for _ in range(6):
                assert (await balancer.ask("/healthz")).status == 200
        assert (await balancer.backends())["c3"]["requests"] == 0
