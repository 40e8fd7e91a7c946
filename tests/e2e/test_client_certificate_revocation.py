"""Who has lost the right to be believed is out within a second: on new, resumed and kept connections alike."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.pki import DAY, Authority, Holder, write_bundle

from .backend import Lane
from .client import Client, request
from .conftest import Backends
from .message import Cut
from .programs import Shown, s_client
from .progress import DEADLINE
from .users import Gate, Users, names_the_user

CLOSING = request("/", "GET", "Connection: close")
SOON = timedelta(seconds=3)
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}

REVOKED, EXPIRED = 44, 45
"""Alerts of RFC 8446 section 6.2."""


class Company(Users):
    """Users of two authorities below the root, with the revocation lists of all three in one file."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.contractors = self.root.intermediate("contractors")
        self.alice = self.staff.issue("alice")
        self.carol = self.contractors.issue("carol")
        self.revokes()

    def revokes(self, *holders: Holder, next_update: timedelta = DAY) -> None:
        """Nobody else is revoked, and the lists are good for `next_update`. Each may name all: serials are unique."""
        issuers = (self.root, self.staff, self.contractors)
        self.revoke(*(issuer.crl(*holders, next_update=next_update) for issuer in issuers))


@pytest.fixture
def company(directory: Path) -> Company:
    return Company(directory)


async def ended(client: Client) -> None:
    """Wait for the end of a connection that nothing is asked on."""
    with contextlib.suppress(Cut):
        assert await client.rest() == b""


async def until_believed(gate: Gate, holder: Holder) -> None:
    async with asyncio.timeout(DEADLINE):
        while not await gate.believes(holder):  # noqa: ASYNC110  # files are read when they are looked at
            await asyncio.sleep(0.02)


async def resume(gate: Gate, holder: Holder, version: str) -> Shown:
    """A connection that offers the session of the call before, and leaves its own for the next."""
    path = gate.users.directory / f"{version}.session"
    offered = ["-sess_in", path] if path.exists() else []
    options = [f"-tls{version.replace('.', '_')}", "-sess_out", path, *offered, *gate.users.s_client(holder)]
    return await s_client(gate.balancer.address, *options, asks=CLOSING)


async def count(gate: Gate, reason: str) -> int:
    """How many connections ended for `reason`."""
    found: int = (await gate.balancer.status())["ends"].get(reason, 0)
    return found


@pytest.mark.parametrize("whose", ["leaf", "intermediate"])
async def test_a_revoked_user_is_out_at_once(backends: Backends, company: Company, whose: str) -> None:
    out, stays = (company.alice, company.carol) if whose == "leaf" else (company.carol, company.alice)
    revoked = company.alice if whose == "leaf" else company.contractors
    async with (
        Gate.open(company, *await backends(names_the_user), client_crl=[str(company.crl)]) as gate,
        await gate.connect(out) as first,
        await gate.connect(stays) as second,
    ):
        for client in (first, second):
            assert (await client.ask()).body == b"known"
        for version in VERSIONS:
            shown = [await resume(gate, out, version) for _ in range(2)]
            assert [each.resumed for each in shown] == [False, True]
            assert all("known" in each.text for each in shown)
        company.revokes(revoked)
        await ended(first)
        assert await count(gate, "client_cert_revoked") == 1
        for version, number in VERSIONS.items():
            assert not await gate.believes(out, number)
            refused = await resume(gate, out, version)
            assert (refused.resumed, refused.alert, "HTTP/1.1" in refused.text) == (False, REVOKED, False)
        assert (await second.ask()).body == b"known"
        assert await gate.believes(stays)
        company.revokes()
        await until_believed(gate, out)


async def test_a_running_answer_and_a_tunnel_are_cut(backends: Backends, company: Company) -> None:
    async def never_ends(lane: Lane) -> None:
        seen = await lane.request()
        assert seen is not None
        if seen.get("upgrade"):
            await lane.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        else:
            await lane.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
        await lane.send(b"part")
        await lane.until_closed()

    async with (
        Gate.open(company, *await backends(never_ends), client_crl=[str(company.crl)]) as gate,
        await gate.connect(company.alice) as running,
        await gate.connect(company.alice) as upgraded,
    ):
        await running.send(request())
        await upgraded.send(request("/", "GET", "Connection: upgrade", "Upgrade: websocket"))
        for client, status in ((running, 200), (upgraded, 101)):
            assert (await client.head()).status == status
            assert await client.read(4) == b"part"
        company.revokes(company.alice)
        for client in (running, upgraded):
            await ended(client)
        await gate.balancer.accessed(2, reason="client_cert_revoked", user="alice")
        await gate.backend.until_ended(2)


async def test_lists_that_have_expired_let_nobody_in(backends: Backends, company: Company) -> None:
    """Not even at the start: who is revoked is not known. New lists are read when they come."""
    company.revokes(next_update=timedelta(seconds=-1))
    async with Gate.open(company, *await backends(names_the_user), client_crl=[str(company.crl)]) as gate:
        shown = await resume(gate, company.alice, "1.3")
        assert (shown.alert, "HTTP/1.1" in shown.text) == (EXPIRED, False)
        await gate.balancer.logged("client_certificate_refused", "reason=crl_expired")
        assert await count(gate, "crl_expired") == 1
        answer = await gate.balancer.admin("/readyz")
        assert answer.status == 503
        assert answer.body.startswith(
            b"listener login refuses all clients: no current revocation list of CN=users root, "
        )
        company.revokes()
        await until_believed(gate, company.alice)
        assert (await gate.balancer.admin("/readyz")).status == 200


async def test_lists_that_expire_end_what_they_allowed(backends: Backends, company: Company) -> None:
    async with (
        Gate.open(company, *await backends(names_the_user), client_crl=[str(company.crl)]) as gate,
        await gate.connect(company.alice) as client,
    ):
        assert (await resume(gate, company.alice, "1.3")).alert is None
        company.revokes(next_update=SOON)
        await ended(client)
        assert await count(gate, "crl_expired") == 1
        assert "HTTP/1.1" not in (await resume(gate, company.alice, "1.3")).text
        company.revokes()
        await until_believed(gate, company.alice)


async def test_a_list_that_cannot_be_read_leaves_the_old_one(backends: Backends, company: Company) -> None:
    company.revokes(company.alice)
    async with Gate.open(company, *await backends(names_the_user), client_crl=[str(company.crl)]) as gate:
        company.crl.write_bytes(b"-----BEGIN X509 CRL-----\ncut off")
        await gate.balancer.logged("certificate_kept", str(company.crl))
        assert not await gate.believes(company.alice)
        assert await gate.believes(company.carol)
        company.revokes(company.carol)
        await until_believed(gate, company.alice)
        assert not await gate.believes(company.carol)


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_certificate_that_expires(backends: Backends, company: Company, version: str) -> None:
    """OpenSSL would let a session be resumed all the same."""
    async with Gate.open(company, *await backends(names_the_user), client_crl=[str(company.crl)]) as gate:
        short, client, before = await with_a_session(gate, version)
        async with client:
            await ended(client)
        refused = await resume(gate, short, version)
        assert (refused.resumed, "HTTP/1.1" in refused.text) == (True, False)
        await gate.balancer.until(lambda status: status["ends"].get("client_cert_expired", 0) >= before + 2)


async def with_a_session(gate: Gate, version: str) -> tuple[Holder, Client, int]:
    """Someone whose certificate expires soon, with a session and a connection from before, and how many had expired.

    A busy machine may take longer than such a certificate lives: then the next one lives longer.
    """
    for factor in (1, 4, 16):
        short = gate.users.staff.issue("short", ends=factor * SOON)
        (gate.users.directory / f"{version}.session").unlink(missing_ok=True)
        before = await count(gate, "client_cert_expired")
        with contextlib.suppress(Cut, ConnectionError, ssl.SSLError):
            client = await gate.connect(short, VERSIONS[version])
            shown = [await resume(gate, short, version) for _ in range(2)]
            if datetime.now(UTC) < short.certificate.not_valid_after_utc:
                assert [each.resumed for each in shown] == [False, True]
                return short, client, before
            await ended(client)
            await client.close()
    raise AssertionError("this machine is too busy")


async def test_an_authority_that_is_believed_no_more(backends: Backends, company: Company) -> None:
    other = Authority.root("partners")
    partner = other.issue("dan")
    write_bundle(company.ca, company.root, other)
    async with (
        Gate.open(company, *await backends(names_the_user)) as gate,
        await gate.connect(partner) as theirs,
        await gate.connect(company.alice) as ours,
    ):
        for client in (theirs, ours):
            assert (await client.ask()).body == b"known"
        write_bundle(company.ca, company.root)
        await ended(theirs)
        assert not await gate.believes(partner)
        assert (await ours.ask()).body == b"known"
        company.ca.write_bytes(b"garbage")
        await gate.balancer.logged("certificate_kept", str(company.ca))
        assert await gate.believes(company.alice)
