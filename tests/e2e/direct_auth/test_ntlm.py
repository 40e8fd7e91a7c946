"""NTLM completes over three connectors, and stays on its lane for the life of the client connection (rule 5)."""

from __future__ import annotations

import asyncio

import pytest

from ..balancer import Balancer
from ..client import Client
from .answer import Answer
from .conftest import Fleet, Front, Tell
from .person import Person, legs

LOGINS = 100
FOLLOWERS = 5

SCHEMES = {
    "bare": ("NTLM", "ntlm"),
    "inside Negotiate's SPNEGO": ("Negotiate", "negotiate"),
    "under Negotiate without SPNEGO": ("Negotiate", "ntlm"),
}


async def sign_in(client: Client, person: Person, scheme: str, protocol: str) -> Answer:
    """After a 401, as browsers do; returns the last answer to the exchange."""
    offer = await client.ask("/wsfed")
    assert (offer.status, offer.all("www-authenticate")) == (401, [b"Negotiate", b"NTLM"])
    answers = await legs(client, person.ntlm_context(protocol), scheme, f"/wsfed?{person.name}")
    assert [answer.status for answer in answers] == [401, 200], answers
    return Answer.of(answers[-1])


async def visit(balancer: Balancer, person: Person, scheme: str, protocol: str) -> list[Answer]:
    """Sign in over a connection of one's own and lean on it; returns every answer with a page."""
    async with await balancer.connect() as client:
        answers = [await sign_in(client, person, scheme, protocol)]
        for number in range(FOLLOWERS):
            response = await client.ask(f"/wsfed?{person.name}&{number}")
            assert response.status == 200
            answers.append(Answer.of(response))
    return answers


@pytest.mark.parametrize(("scheme", "protocol"), SCHEMES.values(), ids=SCHEMES)
async def test_ntlm_completes_and_stays(
    fleet: Fleet, front: Front, people: list[Person], tell: Tell, scheme: str, protocol: str
) -> None:
    balancer = await front(await fleet("apache ntlm"))
    visitors = people[:LOGINS]
    visits = await asyncio.gather(*(visit(balancer, person, scheme, protocol) for person in visitors))
    for person, answers in zip(visitors, visits, strict=True):
        assert {answer.user for answer in answers} == {person.ntlm_name}
        assert len({answer.instance for answer in answers}) == 1
    assert {answers[0].instance for answers in visits} == {"c1", "c2", "c3"}
    assert len({answer.path for answers in visits for answer in answers}) == LOGINS * (1 + FOLLOWERS)
    tell(f"{len(visits)} of {LOGINS} completed, {LOGINS * (1 + FOLLOWERS)} answers checked")


async def test_tickets_after_ntlm_stay_on_its_lane(fleet: Fleet, front: Front, people: list[Person]) -> None:
    """The lane is for life, and the last one who signed in on it counts."""
    balancer = await front(await fleet("apache ntlm"))
    async with await balancer.connect() as client:
        first = await sign_in(client, people[0], "NTLM", "ntlm")
        for person in people[1:10]:
            responses = [await client.ask("/wsfed", "GET", person.login().line), await client.ask("/wsfed")]
            answers = [Answer.of(response) for response in responses]
            assert {(answer.user, answer.instance) for answer in answers} == {(person.principal, first.instance)}
