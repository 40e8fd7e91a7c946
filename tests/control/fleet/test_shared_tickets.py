"""Two replicas of a fleet that share keys through a real etcd."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from base64 import b64decode
from collections.abc import AsyncIterator, Sequence

import pytest

from lbproxy.control.etcd import Etcd, View
from lbproxy.control.etcd.mirror import Mirror
from lbproxy.control.fleet import keys, ticket_ring
from lbproxy.control.fleet.fleet_secret import FleetSecret
from lbproxy.control.fleet.shared_tickets import SharedTickets
from lbproxy.control.fleet.ticket_ring import RingMemory
from tests.patience import within

SECRET, ANOTHER = os.urandom(64), os.urandom(64)


class Place:
    """A replica: what it seals with, and the keys as it sees them, one view at a time."""

    def __init__(self, etcd: Etcd, fleet: str, secret: bytes = SECRET, memory: RingMemory | None = None) -> None:
        self.sealed: tuple[list[bytes], bool] = [], False
        self.tickets = SharedTickets(etcd, fleet, FleetSecret(fleet, secret), self._seal, memory)
        self._mirror = Mirror(etcd, self.tickets.prefix, lambda _: None)

    def _seal(self, secrets: Sequence[bytes], first: bool) -> None:
        self.sealed = [*secrets], first

    async def look(self) -> None:
        """See etcd as it is next."""
        self.tickets.see(await self._mirror.next())

    async def until(self, count: int) -> None:
        async with within(f"it has {count} keys"):
            while len(self.sealed[0]) != count:
                await self.look()

    async def close(self) -> None:
        await self.tickets.stop()
        await self._mirror.close()


@pytest.fixture
async def places(etcd: Etcd, fleet_name: str) -> AsyncIterator[list[Place]]:
    made = [Place(etcd, fleet_name), Place(etcd, fleet_name)]
    yield made
    for one in made:
        await one.close()


async def test_the_first_keys_are_made_once(places: list[Place]) -> None:
    """Both find none at the same time; one of them makes two, and both use them."""
    one, other = places
    await one.look()
    await other.look()
    assert one.sealed == ([], False)
    assert sorted(await asyncio.gather(one.tickets.rotate(), other.tickets.rotate())) == [False, True]
    for place in places:
        await place.until(2)
        assert place.sealed[1]
    assert one.sealed == other.sealed
    assert one.tickets.view()["key"] == 1


async def test_they_rotate(places: list[Place]) -> None:
    one, other = places
    await one.look()
    assert await one.tickets.rotate()
    await one.until(2)
    await other.look()
    first, second = one.sealed[0]
    assert await other.tickets.rotate()
    assert not await one.tickets.rotate(), "the other one was faster"
    await one.until(3)
    await other.until(3)
    sealing, following, before = one.sealed[0]
    assert (sealing, before) == (second, first), "what was next seals, and what has sealed still opens"
    assert await one.tickets.rotate()
    await one.look()
    assert one.sealed[0][0] == following
    assert first not in one.sealed[0]
    assert sorted(one.tickets.ring.keys) == [2, 3, 4]


async def test_they_start_by_themselves(places: list[Place]) -> None:
    one, _ = places
    one.tickets.start()
    assert one.sealed == ([], False)
    await one.look()
    await one.until(2)


async def test_no_secret_is_in_etcd(
    places: list[Place], etcd: Etcd, fleet_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    one, _ = places
    await one.look()
    await one.tickets.rotate()
    await one.until(2)
    listing = await etcd.list(f"/lbproxy/{fleet_name}/")
    assert [found.key for found in listing.values] == [f"{one.tickets.prefix}{number}" for number in (1, 2)]
    for found in listing.values:
        assert found.lease
        told = keys.decode(found.value)
        everything = found.value + b64decode(told["sealed"]) + found.key.encode()
        for secret in (SECRET, *one.sealed[0]):
            assert secret not in everything
            assert secret.hex().encode() not in everything
            assert secret.hex() not in caplog.text + str(one.tickets.view()) + repr(one.tickets)


async def test_replicas_with_another_secret_share_keys_of_their_own(
    places: list[Place], etcd: Etcd, fleet_name: str
) -> None:
    """So a secret can be replaced on one replica after the other."""
    one, _ = places
    stranger = Place(etcd, fleet_name, ANOTHER)
    for place in (one, stranger):
        await place.look()
        await place.tickets.rotate()
        await place.until(2)
    assert not {*one.sealed[0]} & {*stranger.sealed[0]}
    assert one.tickets.view()["secret"] != stranger.tickets.view()["secret"]
    await stranger.close()


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b"x", "not JSON"),
        (b'{"format":2}', "a newer lbproxy"),
        (b'{"format":1,"made":1}', "does not say what is sealed"),
        (b'{"format":1,"made":1,"sealed":"%%"}', "base64"),
        (b'{"format":1,"made":1,"sealed":"AAAA"}', "cannot be decrypted"),
    ],
)
async def test_values_that_cannot_be_used(
    places: list[Place], etcd: Etcd, value: bytes, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = places
    key = f"{one.tickets.prefix}5"
    await etcd.put(key, value)
    await one.look()
    assert why in one.tickets.ignored[key]
    assert one.sealed == ([], False)
    assert one.tickets.view()["why"] == "no key can be used"
    assert "fleet_ticket_key_unread" in caplog.text
    assert await one.tickets.rotate()
    await one.until(2)
    assert sorted(one.tickets.ring.keys) == [6, 7]
    await other.look()
    assert other.sealed == one.sealed


async def test_a_value_that_was_copied_to_another_key(places: list[Place], etcd: Etcd) -> None:
    """Whoever may write to etcd cannot bring back a key that was deleted."""
    one, _ = places
    await one.look()
    await one.tickets.rotate()
    await one.until(2)
    found = await etcd.get(f"{one.tickets.prefix}1")
    assert found is not None
    await etcd.put(f"{one.tickets.prefix}3", found.value)
    await one.look()
    assert list(one.tickets.ignored) == [f"{one.tickets.prefix}3"]
    assert sorted(one.tickets.ring.keys) == [1, 2]


async def test_without_etcd_the_last_keys_seal_until_their_time_is_over(
    places: list[Place], etcd: Etcd, fleet_name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    one, _ = places
    await one.look()
    await one.tickets.rotate()
    await one.until(2)
    sealed, memory = one.sealed[0], one.tickets.ring.memory()
    later = Place(etcd, fleet_name, memory=memory)
    later.tickets.start()
    assert later.sealed == (sealed, True), "the next generation goes on at once"
    long_ago = Place(etcd, fleet_name, memory={**memory, "since": time.monotonic() - 2 * ticket_ring.ROTATE})
    long_ago.tickets.start()
    assert long_ago.sealed == (sealed, False), "its own key seals, and these still open"
    assert "the time of the last ones is over" in long_ago.tickets.view()["why"]
    monkeypatch.setattr(ticket_ring, "ROTATE", 0.0)
    later.tickets.see(await etcd_view(etcd, later))
    assert later.sealed == (sealed, False)
    assert "fleet_tickets_alone" in caplog.text
    for place in (later, long_ago):
        await place.close()


async def etcd_view(etcd: Etcd, place: Place) -> View:
    listing = await etcd.list(place.tickets.prefix)
    return View({found.key: found for found in listing.values}, listing.revision)
