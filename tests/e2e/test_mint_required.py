"""client_identity = "mint" before connectors that let nobody in without a certificate, as the Auth0 connector does."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.control.probes.backends import listening
from tests.control.probes.verifying import demanding
from tests.pki import Authority

from .balancer import Balancer, command, running
from .client import HOST
from .configuration import configuration
from .users import Users
from .wsfed import answer_requests

VERSIONS = pytest.mark.parametrize(
    "version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=lambda one: one.name
)
CHECK = {"kind": "tls", "interval": "200ms", "timeout": "5s", "rise": 1}


@asynccontextmanager
async def behind(
    directory: Path, users: Users, version: ssl.TLSVersion, *believed: str, **check: Any
) -> AsyncIterator[Balancer]:
    """A balancer that mints, before a connector for each authority in `believed`: "mint", or "another"."""
    mints = {name: Authority.root(name, path_length=0) for name in ("mint", "another")}
    (directory / "mint.key").write_bytes(mints["mint"].key_pem)
    table = {
        "ca_certificate": str(mints["mint"].write_certificate(directory / "mint.pem")),
        "ca_key": str(directory / "mint.key"),
    }
    async with AsyncExitStack() as stack:
        backends = []
        for number, name in enumerate(believed, 1):
            ca = mints[name].write_certificate(directory / f"{name}-ca.pem")
            context = demanding(users.login, ca, version)
            port = await stack.enter_async_context(listening(answer_requests, context))
            backends.append((f"c{number}", f"https://127.0.0.1:{port}"))
        config = configuration(
            directory,
            backends,
            listener={"tls": users.tls(required=False, client_identity="mint", mint=table)},
            pool={"check": CHECK | check, "tls": {"ca": str(users.server_ca), "server_name": HOST}},
        )
        config["server_url"] = config["server_url"].replace("http:", "https:")
        yield await stack.enter_async_context(running(config, directory))


@VERSIONS
async def test_a_visitor_without_a_certificate_ejects_nobody(directory: Path, version: ssl.TLSVersion) -> None:
    """Each request of such a visitor breaks on every connector; users are served by all three of them."""
    users = Users(directory)
    async with behind(directory, users, version, "mint", "mint", "mint") as balancer:
        for _ in range(3):
            async with await balancer.connect(tls=users.context()) as stranger:
                assert (await stranger.ask("/wsfed")).status in {502, 503}
        found = [(each["in_rotation"], each["ejections"]) for each in (await balancer.backends()).values()]
        assert found == [(True, 0)] * 3
        async with await balancer.connect(tls=users.context(users.staff.issue("alice"))) as alice:
            assert {(await alice.ask("/wsfed")).body for _ in range(3)} == {b"alice"}


@VERSIONS
@pytest.mark.parametrize("kind", ["tls", "http"])
async def test_a_connector_that_does_not_believe_the_mint_gets_nobody(
    directory: Path, version: ssl.TLSVersion, kind: str
) -> None:
    users = Users(directory)
    async with behind(directory, users, version, "mint", "another", kind=kind) as balancer:
        backends = await balancer.backends()
        assert {name: each["state"] for name, each in backends.items()} == {"c1": "up", "c2": "down"}
        assert backends["c2"]["probe"]["detail"].endswith("does its CA_CERT contain the mint (CN=mint)?")
        async with await balancer.connect(tls=users.context(users.staff.issue("alice"))) as alice:
            assert [(await alice.ask("/wsfed")).status for _ in range(4)] == [200] * 4


async def test_check_connect_warns_of_it(directory: Path) -> None:
    users = Users(directory)
    async with behind(directory, users, ssl.TLSVersion.TLSv1_3, "mint", "mint") as balancer:
        status, out, err = await command("check", "--connect", "-c", str(balancer.path))
    assert status == 0, err
    assert "listener.login.tls.client_certificate: warning: optional, but c1, c2 let in certificates only" in err
    assert "extended protection" in out
    assert out.count("ok: TLSv1.3") == 2, "it probes with the certificate of the probes"
