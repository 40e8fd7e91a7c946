"""No answer names a user other than the one who asked, whatever dies meanwhile; no stranger is answered."""

from __future__ import annotations

import os

import pytest

from ..balancer import Balancer
from ..client import request
from .answer import Answer
from .conftest import Fleet, Front, Tell
from .crowd import gather
from .person import Person

KILLS = 30 if os.environ.get("LBPROXY_FULL") else 10

FLEETS = {
    "mod_auth_gssapi, GssapiConnectionBound On, TLS": (("apache on",), True),
    "mod_auth_gssapi, GssapiConnectionBound Off": (("apache off",), False),
    "the sample connector, which binds": (("sample", "--binds"), False),
}


async def until_nobody_owns_a_lane(balancer: Balancer) -> None:
    await balancer.until(lambda now: not any(member["private_lanes"] for member in now["pools"][0]["backends"]))


@pytest.mark.parametrize(("kind", "tls"), FLEETS.values(), ids=FLEETS)
async def test_everybody_is_answered_as_themselves(
    fleet: Fleet, front: Front, people: list[Person], tell: Tell, kind: tuple[str, ...], tls: bool
) -> None:
    members = await fleet(*kind)
    balancer = await front(members, tls=tls)
    jury = await gather(balancer, members, people, KILLS)
    assert jury.wrong == []
    assert jury.counts["a token: 200"] > 10 * len(people)
    assert jury.counts["no credentials: 401"] > 0
    await until_nobody_owns_a_lane(balancer)
    tell(f"{jury.answers} answers checked, {KILLS} kills; {dict(sorted(jury.counts.items()))}, cut: {dict(jury.cut)}")


@pytest.mark.parametrize("kind", [("apache on",), ("sample", "--binds")], ids=lambda kind: kind[0])
async def test_pipelined_requests_of_several_people(
    fleet: Fleet, front: Front, people: list[Person], kind: tuple[str, ...]
) -> None:
    """All in one write: none may run before the one before it was answered, or on the lane of another person."""
    balancer = await front(await fleet(*kind))
    asked = [(person, f"/wsfed?{person.name}={number}") for person in people[:12] for number in range(3)]
    lines = [[person.login().line] if target.endswith("=0") else [] for person, target in asked]
    async with await balancer.connect() as client:
        await client.send(b"".join(request(at, "GET", *line) for (_, at), line in zip(asked, lines, strict=True)))
        answers = [Answer.of(await client.response()) for _ in asked]
    assert [(answer.user, answer.path) for answer in answers] == [(person.principal, at) for person, at in asked]
    places = [answer.instance for answer in answers]
    assert [len(set(places[at : at + 3])) for at in range(0, len(places), 3)] == [1] * 12
    assert {places.count(name) for name in ("c1", "c2", "c3")} == {12}
