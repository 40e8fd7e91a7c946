"""Tickets of users in hundreds of groups: 64 KB in one header line (the default max_header_size is there for them)."""

from __future__ import annotations

import pytest

from lbproxy.demo.journal import token_digest

from ..conftest import Backends, Balance
from .conftest import Fleet, Front
from .person import Person
from .place import Place
from .sample import arrivals

LARGE = 64 * 1024


def enlarged(person: Person, size: int) -> str:
    """A real ticket's Authorization value, drawn out to `size` bytes; a connector takes it for a spoiled one."""
    value = person.login().line.partition(": ")[2]
    return value + "A" * (size - len(value))


async def test_a_large_ticket_arrives_unchanged(fleet: Fleet, front: Front, place: Place, people: list[Person]) -> None:
    members = await fleet("sample")
    balancer = await front(members)
    value = enlarged(people[0], LARGE)
    assert len(value) == LARGE
    async with await balancer.connect() as client:
        for _ in members:
            assert (await client.ask("/wsfed", "GET", f"Authorization: {value}")).status == 401
        assert (await client.ask("/wsfed", "GET", people[0].login().line)).status == 200
    assert arrivals(members, place)[token_digest(value) or ""] == len(members)


@pytest.mark.parametrize("size", [128 * 1024, 1024 * 1024])
async def test_over_the_limit_the_key_is_named(
    backends: Backends, balance: Balance, people: list[Person], size: int
) -> None:
    [backend] = await backends()
    balancer = await balance(backend)
    response = await balancer.ask("/", "GET", f"Authorization: {enlarged(people[0], size)}")
    assert response.status == 431
    assert b"max_header_size" in response.body
    assert backend.requests == []
    await balancer.accessed(status=431, reason="head_too_large")


async def test_a_raised_limit(backends: Backends, balance: Balance, people: list[Person]) -> None:
    [backend] = await backends()
    balancer = await balance(backend, listener={"max_header_size": "512KiB"})
    value = enlarged(people[0], 500 * 1024)
    assert (await balancer.ask("/", "GET", f"Authorization: {value}")).status == 200
    assert backend.requests[0].get("authorization") == value.encode()
