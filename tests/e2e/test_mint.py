"""client_identity = "mint": connectors that believe only the TLS peer's certificate see each user's own name."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest_asyncio
from cryptography import x509

from tests.pki import Authority, Holder, write_bundle

from .balancer import Balancer, running
from .client import HOST, Client
from .configuration import configuration
from .connectors import connectors
from .instance import Instance
from .programs import curl
from .reaper import Reaper
from .users import Users

FULL = bool(os.environ.get("LBPROXY_FULL"))
PEOPLE = 100
KILLS = 30 if FULL else 3
VISITS = 3
"""Requests of each user for each kill."""

CHECK = {"kind": "http", "path": "/wsfed", "interval": "200ms", "timeout": "10s", "rise": 1}
"""A patient probe: on a busy machine no instance is called dead that is not."""


@dataclass(frozen=True)
class Site:
    """A balancer that mints, the connectors behind it, and the users. `mint` is the authority that it mints with."""

    balancer: Balancer
    fleet: list[Instance]
    users: Users
    mint: Authority

    async def connect(self, holder: Holder | None = None) -> Client:
        """A client connection of that user."""
        return await self.balancer.connect(tls=self.users.context(holder))


@asynccontextmanager
async def site_in(directory: Path) -> AsyncIterator[Site]:
    """The connectors believe the mint, and the users' own authority beside it, as they would in a change-over."""
    users, mint = Users(directory), Authority.root("mint", path_length=0)
    (directory / "mint.key").write_bytes(mint.key_pem)
    table = {
        "ca_certificate": str(mint.write_certificate(directory / "mint.pem")),
        "ca_key": str(directory / "mint.key"),
    }
    ca = write_bundle(directory / "connectors-ca.pem", mint, users.root)
    async with connectors(directory, users.login, ca) as fleet:
        config = configuration(
            directory,
            [(each.name, each.url) for each in fleet],
            listener={"tls": users.tls(required=False, client_identity="mint", mint=table)},
            pool={"check": CHECK, "tls": {"ca": str(users.server_ca), "server_name": HOST}, "readmit_backoff": "0s"},
        )
        config["server_url"] = config["server_url"].replace("http:", "https:")
        async with running(config, directory) as balancer:
            yield Site(balancer, fleet, users, mint)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shared() -> AsyncIterator[Site]:
    with tempfile.TemporaryDirectory(prefix="lbp-") as name:
        async with site_in(Path(name)) as made:
            yield made


@pytest_asyncio.fixture(loop_scope="session")
async def own_site(directory: Path) -> AsyncIterator[Site]:
    """For a test that kills: the log of the balancer is whole."""
    async with site_in(directory) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def site(shared: Site) -> Site:
    """The one of all tests, of which nothing has a lane, and in whose logs nothing is."""
    await until_no_lanes(shared)
    shared.balancer.forget()
    return shared


async def facts(client: Client, target: str = "/wsfed") -> dict[str, Any]:
    """What a connector took a request for."""
    response = await client.ask(target)
    assert response.status == 200, response
    found: dict[str, Any] = json.loads(response.body)
    return found


async def test_a_user_is_signed_in_by_every_connector(site: Site) -> None:
    """Requests of one connection are spread, over lanes of its own; curl shows the same."""
    alice = site.users.staff.issue("alice", upn="alice@corp.test")
    async with await site.connect(alice) as client:
        answers = [await facts(client) for _ in range(9)]
    assert Counter(each["instance"] for each in answers) == {"c1": 3, "c2": 3, "c3": 3}
    assert {(each["user"], each["how"], each["certificate_issuer"]) for each in answers} == {
        ("alice", "certificate", "mint")
    }
    assert len({each["peer_port"] for each in answers}) == 3
    assert '"user": "alice"' in (await curl(site.balancer.address, "/wsfed", *site.users.curl(alice))).out


async def test_without_a_certificate_there_is_the_ordinary_page(site: Site) -> None:
    """On lanes that no user's requests are on, although both are asked in turn."""
    alice = site.users.staff.issue("alice")
    async with await site.connect(alice) as known, await site.connect() as unknown:
        for _ in range(6):
            assert (await facts(known, "/users"))["user"] == "alice"
            found = await facts(unknown, "/users")
            assert (found["user"], found["how"], found["certificate"]) == (None, "nothing", None)
        assert b"<form" in (await unknown.ask("/wsfed")).body


async def test_lanes_of_users_are_private(site: Site) -> None:
    """Also two connections of one user have no lane in common."""
    people = [site.users.staff.issue(f"user{number}") for number in range(4)]
    owners = defaultdict(set)
    for _ in range(3):
        clients = [await site.connect(person) for person in people * 2]
        for number in range(6):
            for owner, client in enumerate(clients):
                found = await facts(client)
                owners[found["instance"], found["connection"]].add((owner, found["user"]))
                assert found["user"] == f"user{owner % 4}", number
        for client in clients:
            await client.close()
        await until_no_lanes(site)
    assert all(len(each) == 1 for each in owners.values()), owners
    assert len(owners) == 3 * 8 * 3


async def until_no_lanes(site: Site) -> None:
    await site.balancer.until(lambda now: not any(each["private_lanes"] for each in now["pools"][0]["backends"]))


async def test_a_hundred_users_while_connectors_are_killed(own_site: Site) -> None:
    """Each is answered, as nobody else; LBPROXY_FULL=1 kills ten times as many."""
    site = own_site
    people = [site.users.staff.issue(f"user{number}") for number in range(PEOPLE)]
    clients = [await site.connect(person) for person in people]
    reaper = Reaper(site.balancer, site.fleet)

    async def visit(number: int) -> None:
        for _ in range(VISITS):
            found = await facts(clients[number], f"/wsfed?{number}")
            assert (found["user"], found["path"]) == (f"user{number}", f"/wsfed?{number}")

    for _ in range(KILLS):
        async with asyncio.TaskGroup() as group:
            group.create_task(reaper.strike())
            for number in range(PEOPLE):
                group.create_task(visit(number))
    for client in clients:
        await client.close()
    await site.balancer.accessed(PEOPLE * KILLS * VISITS, status=200, lane="private")


async def test_resumed_sessions_are_the_users_own(site: Site) -> None:
    """Towards the connectors, a session is offered for the user that it was made for only."""
    people = [site.users.staff.issue(f"user{number}") for number in range(10)]
    visitors: defaultdict[str, set[int]] = defaultdict(set)
    before = await handshakes(site)

    async def visit(number: int) -> None:
        for _ in range(6):
            async with await site.connect(people[number]) as client:
                for _ in range(3):
                    found = await facts(client)
                    assert found["user"] == f"user{number}"
                    visitors[found["instance"]].add(number)

    async with asyncio.TaskGroup() as group:
        for number in range(len(people)):
            group.create_task(visit(number))
    assert visitors.keys() == before.keys()
    for name, made in (await handshakes(site)).items():
        assert made["resumed"] > before[name]["resumed"]
        assert made["full"] - before[name]["full"] >= len(visitors[name])


async def handshakes(site: Site) -> dict[str, dict[str, int]]:
    """With each connector, so far."""
    return {name: backend["tls_handshakes"] for name, backend in (await site.balancer.backends()).items()}


# --- how long a minted certificate lasts


async def test_a_minted_certificate_ends_no_later_than_the_users(site: Site) -> None:
    now = time.time()
    short = site.users.staff.issue("short", ends=timedelta(minutes=2))
    brief = site.users.root.intermediate("brief", ends=timedelta(minutes=3)).issue("below")
    for holder, latest in ((short, now + 120), (brief, now + 180), (site.users.staff.issue("alice"), now + 610)):
        async with await site.connect(holder) as client:
            ends = [(await facts(client))["certificate_ends"] for _ in range(3)]
        assert now < min(ends) <= max(ends) <= latest
        users_own = min(each.not_valid_after_utc.timestamp() for each in (holder.certificate, *holder.issuers))
        assert max(ends) <= users_own


async def test_who_cannot_be_followed_is_told_so(site: Site) -> None:
    """A certificate that names nobody; others are not concerned."""
    nobody = site.users.staff.issue(x509.Name([]))
    async with await site.connect(nobody) as client:
        assert (await client.ask("/wsfed")).status == 503
    await site.balancer.accessed(reason="mint_failed", status=503)
    async with await site.connect(site.users.staff.issue("alice")) as client:
        assert (await facts(client))["user"] == "alice"
