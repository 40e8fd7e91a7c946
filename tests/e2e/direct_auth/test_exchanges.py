"""Exchanges of several legs stay on their lane, and what becomes of a client whose lane dies (rules 4 and 5)."""

from __future__ import annotations

import asyncio

import pytest
from gssapi import RequirementFlag

from ..balancer import Balancer
from ..client import Client
from ..instance import Instance
from .answer import Answer, token_of
from .conftest import Fleet, Front
from .person import Person, authorization, legs

THREE_LEGS = RequirementFlag.mutual_authentication | RequirementFlag.dce_style
"""The acceptor's answer to a ticket is not the end: the initiator has to confirm it."""

BINDING = {"mod_auth_gssapi": ("apache on",), "the sample connector": ("sample", "--binds")}

fleets = pytest.mark.parametrize("kind", BINDING.values(), ids=BINDING)


async def backend_of(balancer: Balancer, fleet: list[Instance], target: str) -> Instance:
    """The instance that the one request for `target` went to."""
    [record] = await balancer.accessed(target=target)
    return next(one for one in fleet if one.name == record["backend"])


async def first_leg(client: Client, person: Person, target: str) -> str:
    """Send a ticket that is not enough by itself; returns the header line of the second leg."""
    context = person.context(THREE_LEGS)
    token = context.step()
    assert token
    response = await client.ask(target, "GET", authorization("Negotiate", token))
    reply = token_of(response)
    assert response.status == 401
    assert reply
    confirmation = context.step(reply)
    assert confirmation
    return authorization("Negotiate", confirmation)


@fleets
async def test_legs_of_many_exchanges_at_once(
    fleet: Fleet, front: Front, people: list[Person], kind: tuple[str, ...]
) -> None:
    balancer = await front(await fleet(*kind))

    async def sign_in(person: Person) -> None:
        target = f"/wsfed?{person.name}"
        async with await balancer.connect() as client:
            responses = await legs(client, person.context(THREE_LEGS), "Negotiate", target)
            responses.append(await client.ask(target))
        assert [response.status for response in responses] == [401, 200, 200]
        assert [Answer.of(response).user for response in responses[1:]] == [person.principal] * 2
        assert len({record["backend"] for record in await balancer.accessed(3, target=target)}) == 1

    await asyncio.gather(*(sign_in(person) for person in people[:30]))


@fleets
async def test_an_exchange_on_a_dead_lane_ends_its_client(
    fleet: Fleet, front: Front, people: list[Person], kind: tuple[str, ...]
) -> None:
    members = await fleet(*kind)
    balancer = await front(members)
    async with await balancer.connect() as client:
        await first_leg(client, people[0], "/wsfed?first")
        victim = await backend_of(balancer, members, "/wsfed?first")
        await victim.kill()
        await client.closed()
    assert (await balancer.status())["ends"]["auth_lane_lost"] == 1
    async with await balancer.connect() as client:  # a clean start, at one of the other two
        confirmation = await first_leg(client, people[0], "/wsfed?again")
        answer = Answer.of(await client.ask("/wsfed?again", "GET", confirmation))
        assert answer.user == people[0].principal
        assert answer.instance != victim.name


@fleets
async def test_a_leg_that_is_refused_does_not_end_its_client(
    fleet: Fleet, front: Front, people: list[Person], kind: tuple[str, ...]
) -> None:
    alice, bob = people[:2]
    balancer = await front(await fleet(*kind))
    async with await balancer.connect() as client, await balancer.connect() as other:
        await first_leg(client, alice, "/wsfed")
        foreign = await first_leg(other, bob, "/wsfed")
        assert (await client.ask("/wsfed", "GET", foreign)).status == 401
        assert (await client.ask("/wsfed")).status == 401
        assert Answer.of(await client.ask("/wsfed", "GET", bob.login().line)).user == bob.principal


@pytest.mark.parametrize(("scheme", "protocol"), [("NTLM", "ntlm"), ("Negotiate", "negotiate")])
async def test_ntlm_ends_with_its_lane(
    fleet: Fleet, front: Front, people: list[Person], scheme: str, protocol: str
) -> None:
    members = await fleet("apache ntlm")
    balancer = await front(members)
    async with await balancer.connect() as client:
        [_, signed_in] = await legs(client, people[0].ntlm_context(protocol), scheme, "/wsfed")
        name = Answer.of(signed_in).instance
        await next(one for one in members if one.name == name).kill()
        await client.closed()
    assert (await balancer.status())["ends"]["auth_lane_lost"] == 1


@fleets
async def test_a_kerberos_client_outlives_its_lane(
    fleet: Fleet, front: Front, people: list[Person], kind: tuple[str, ...]
) -> None:
    """No exchange is in progress: it is asked for a ticket again, on the same client connection."""
    members = await fleet(*kind)
    balancer = await front(members)
    async with await balancer.connect() as client:
        name = Answer.of(await client.ask("/wsfed", "GET", people[0].login().line)).instance
        assert Answer.of(await client.ask("/wsfed")).instance == name
        await next(one for one in members if one.name == name).kill()
        assert (await client.ask("/wsfed")).status == 401
        answer = Answer.of(await client.ask("/wsfed", "GET", people[0].login().line))
        assert answer.user == people[0].principal
        assert answer.instance != name
