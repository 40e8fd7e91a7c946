"""Nobody is ever answered as somebody else: the rule of lanes against backends that keep identity on connections."""

from __future__ import annotations

import asyncio
import base64
import contextlib

import pytest

from .backend import Lane, answer
from .client import Client, request
from .conftest import Play, Share
from .message import Cut
from .tokens import kerberos_token, ntlm_token, user_of


async def binds(lane: Lane) -> None:
    """Keeps the identity of a connection once a token was shown on it, as IIS and mod_auth_gssapi may do."""
    user = b""
    while seen := await lane.request():
        scheme, _, token = (seen.get("authorization") or b"").partition(b" ")
        if scheme == b"Negotiate":
            user = user_of(token)
        if user:
            await lane.send(answer(user, "X-Backend: " + lane.backend.name))
        else:
            await lane.send(answer(b"who?", "WWW-Authenticate: Negotiate", status="401 Unauthorized"))


async def ntlm(lane: Lane) -> None:
    """NTLM over two legs; a leg that comes over another connection is refused for good."""
    user, challenged = b"", False
    while seen := await lane.request():
        scheme, _, token = (seen.get("authorization") or b"").partition(b" ")
        kind = base64.b64decode(token)[8] if token else 0
        offer = f"WWW-Authenticate: {scheme.decode() or 'NTLM'}"
        if kind == 1:
            challenged = True
            await lane.send(answer(b"", f"{offer} {ntlm_token(2)}", status="401 Unauthorized"))
        elif kind == 3 and not challenged:
            await lane.send(answer(b"wrong connection", status="403 Forbidden"))
        elif kind == 3 or user:
            user = user_of(token) if kind else user
            await lane.send(answer(user, "X-Backend: " + lane.backend.name))
        else:
            await lane.send(answer(b"who?", offer, status="401 Unauthorized"))


async def strangers_get_nothing(client: Client, count: int) -> None:
    for _ in range(count):
        response = await client.ask("/stranger")
        assert (response.status, response.body) == (401, b"who?")


async def is_answered(client: Client, user: str, *lines: str) -> None:
    response = await client.ask(f"/{user}", "GET", *lines)
    assert (response.status, response.body) == (200, user.encode())


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("first", ["401 first", "token first"])
async def test_strangers_never_meet_a_victims_lane(share: Share, first: str, count: int, tls: bool) -> None:
    """In their defaults nginx, Envoy and Caddy answer 90 of 90 as the victim, and HAProxy 29 of 30 as somebody else."""
    balancer, _ = await share(*[binds] * count, tls=tls)
    async with await balancer.connect() as stranger:
        for number in range(30):
            async with await balancer.connect() as victim:
                user = f"user{number}"
                if first == "401 first":
                    assert (await victim.ask()).status == 401
                await is_answered(victim, user, f"Authorization: Negotiate {kerberos_token(user)}")
                await strangers_get_nothing(stranger, 1)
                async with await balancer.connect() as another:
                    await strangers_get_nothing(another, 1)
                await is_answered(victim, user)
            await strangers_get_nothing(stranger, 1)


async def test_victims_at_the_same_time_stay_themselves(share: Share) -> None:
    balancer, _ = await share(binds, binds, binds)

    async def victim(user: str) -> None:
        async with await balancer.connect() as client:
            for _ in range(10):
                await is_answered(client, user, f"Authorization: Negotiate {kerberos_token(user)}")
                await is_answered(client, user)

    await asyncio.gather(*(victim(f"user{number}") for number in range(30)))


async def test_fresh_tickets_of_one_connection_are_spread(share: Share) -> None:
    """Rule 4: each goes to the next backend; a request without a token follows the lane authenticated last."""
    balancer, members = await share(binds, binds, binds)
    async with await balancer.connect() as client:
        for number in range(30):
            response = await client.ask("/", "GET", f"Authorization: Negotiate {kerberos_token(f'user{number}')}")
            assert response.body == f"user{number}".encode()
            follower = await client.ask("/")
            assert (follower.body, follower.get("x-backend")) == (response.body, response.get("x-backend"))
    assert [len(member.requests) for member in members] == [20, 20, 20]
    assert [len(member.lanes) for member in members] == [1, 1, 1]


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_private_lane_ends_with_its_owner(share: Share, how: str) -> None:
    balancer, [backend] = await share(binds)
    client = await balancer.connect()
    await is_answered(client, "alice", f"Authorization: Negotiate {kerberos_token('alice')}")
    assert (await balancer.backends())["c1"]["private_lanes"] == 1
    if how == "reset":
        client.reset()
    await client.close()
    await backend.until_ended(1)
    [record] = await balancer.accessed(target="/alice")
    assert record["lane"] == "private"


@pytest.mark.parametrize("challenge", ["Negotiate", "NTLM", "negotiate", "Negotiate oYG2"])
async def test_a_challenge_makes_a_lane_private(play: Play, challenge: str) -> None:
    async def challenges(lane: Lane) -> None:
        while await lane.request():
            await lane.send(answer(b"", f"WWW-Authenticate: {challenge}", status="401 Unauthorized"))

    balancer, backend = await play(challenges)
    for number in (1, 2, 3):
        assert (await balancer.ask()).status == 401
        await backend.until_ended(number)


@pytest.mark.parametrize(
    "value", ["Negotiate AAAA", "NTLM TlRMTVNTUAABAAAA", "nEgOtIaTe AAAA", "Unknown x", "Negotiate", "Kerberos x", "x"]
)
async def test_a_scheme_that_may_bind_makes_a_lane_private(play: Play, value: str) -> None:
    balancer, backend = await play()
    for _ in range(3):
        async with await balancer.connect() as client:
            assert (await client.ask("/", "GET", f"Authorization: {value}")).status == 200
    assert [len(lane.requests) for lane in backend.lanes] == [1, 1, 1]


@pytest.mark.parametrize("value", ["Basic YTpi", "Bearer abc", 'Digest username="a"', "basic YTpi"])
async def test_schemes_for_one_request_share_a_lane(play: Play, value: str) -> None:
    balancer, backend = await play()
    for _ in range(3):
        async with await balancer.connect() as client:
            assert (await client.ask("/", "GET", f"Authorization: {value}")).status == 200
    assert [len(lane.requests) for lane in backend.lanes] == [3]
    assert {record["lane"] for record in await balancer.accessed(3)} == {"shared"}


@pytest.mark.parametrize("scheme", ["NTLM", "Negotiate"])
async def test_ntlm_stays_on_its_lane(share: Share, scheme: str) -> None:
    balancer, _ = await share(ntlm, ntlm, ntlm)

    async def user(name: str) -> None:
        async with await balancer.connect() as client:
            assert (await client.ask()).status == 401
            first = await client.ask("/", "GET", f"Authorization: {scheme} {ntlm_token(1)}")
            assert first.get("www-authenticate") == f"{scheme} {ntlm_token(2)}".encode()
            await is_answered(client, name, f"Authorization: {scheme} {ntlm_token(3, name)}")
            for _ in range(5):
                await is_answered(client, name)

    await asyncio.gather(*(user(f"user{number}") for number in range(30)))


async def test_a_lane_that_dies_in_an_exchange_ends_its_client(share: Share) -> None:
    """Rule 5: the client must start again cleanly, so it may not go on over this connection."""

    async def dies(lane: Lane) -> None:
        await lane.request()
        await lane.send(answer(b"", f"WWW-Authenticate: NTLM {ntlm_token(2)}", status="401 Unauthorized"))
        await lane.request()
        lane.reset()

    balancer, members = await share(dies, dies)
    async with await balancer.connect() as client:
        assert (await client.ask("/", "GET", f"Authorization: NTLM {ntlm_token(1)}")).status == 401
        await client.send(request("/", "GET", f"Authorization: NTLM {ntlm_token(3, 'alice')}"))
        with contextlib.suppress(Cut):
            assert (await client.response()).status == 502
            await client.closed()
    assert sum(len(member.requests) for member in members) == 2
