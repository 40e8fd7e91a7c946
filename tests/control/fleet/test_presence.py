from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from lbproxy.control.etcd import Etcd, KeyValue, Mirror
from lbproxy.control.fleet import keys
from lbproxy.control.fleet import presence as presence_module
from lbproxy.control.fleet.presence import Membership, Presence
from lbproxy.control.fleet.reach import Reach
from lbproxy.control.fleet.replica import Replica
from tests.control.fleet.made import replica
from tests.patience import until as soon
from tests.patience import within

Make = Callable[..., Presence]


class Told:
    """What a balancer says of itself, which changes."""

    def __init__(self, **fields: Any) -> None:
        self.replica = replica(**fields)

    def __call__(self) -> Replica:
        return self.replica


@pytest.fixture
def key(fleet_name: str) -> str:
    return f"{keys.replicas(fleet_name)}lb1"


@pytest.fixture
async def make(etcd: Etcd, key: str) -> AsyncIterator[Make]:
    """A started one, which is stopped at the end."""
    async with AsyncExitStack() as stack:

        def start(told: Told, ttl: float = 10) -> Presence:
            presence = Presence(etcd, key, ttl, told, Reach())
            presence.start()
            stack.push_async_callback(presence.stop)
            return presence

        yield start


@pytest.fixture
async def mirror(etcd: Etcd, fleet_name: str) -> AsyncIterator[Mirror]:
    async with etcd.mirror(keys.replicas(fleet_name)) as found:
        assert (await found.next()).values == {}
        yield found


async def only(mirror: Mirror) -> tuple[Replica, KeyValue]:
    """What its one key says next, when there is one."""
    async with within("there is a key"):
        while not (values := (await mirror.next()).values):
            pass
    [found] = values.values()
    return Replica.decode(found.value), found


async def until(mirror: Mirror, **wanted: Any) -> tuple[Replica, KeyValue]:
    """Its one key, when it says so."""
    async with within(f"the key says {wanted}"):
        while True:
            found, key = await only(mirror)
            if all(getattr(found, name) == value for name, value in wanted.items()):
                return found, key


async def until_it_is(membership: Membership, presence: Presence) -> None:
    await soon(lambda: presence.membership is membership, f"the membership is {membership.value}")


async def test_it_is_there_and_says_what_changes(make: Make, mirror: Mirror) -> None:
    told = Told()
    presence = make(told)
    assert (await only(mirror))[0] == told.replica
    told.replica = replica(state="draining")
    presence.look()
    assert (await only(mirror))[0].state == "draining"
    assert presence.membership is Membership.MEMBER
    told.replica = replica(state="gone")
    await presence.stop()
    assert (await only(mirror))[0].state == "gone"


async def test_the_name_of_one_that_is_gone_is_free_at_once(make: Make, mirror: Mirror) -> None:
    told = Told(run="1")
    presence = make(told, ttl=600)
    await only(mirror)
    told.replica = replica(run="1", state="gone")
    await presence.stop()
    make(Told(run="2"))
    await until(mirror, run="2")


async def test_the_next_generation_takes_the_key_over(
    make: Make, mirror: Mirror, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    first, second = Told(generation=1), Told(generation=2)
    old = make(first)
    await only(mirror)
    make(second)
    _, found = await until(mirror, generation=2)
    first.replica = replica(generation=1, state="draining")
    old.look()
    await until_it_is(Membership.REPLACED, old)
    old.retire()
    await old.stop()
    second.replica = replica(generation=2, state="draining")
    assert [record.message for record in caplog.records] == ["fleet_joined"], "a reload is no news"
    assert (await mirror._etcd.get(found.key)) == found, "the lease of the old one was not the key's"


@pytest.mark.parametrize("says_so", [True, False])
async def test_a_next_generation_that_ends_before_it_serves_gives_the_key_back(
    make: Make, mirror: Mirror, says_so: bool
) -> None:
    """The reload has failed: this one serves on."""
    second = Told(generation=2)
    old = make(Told(generation=1))
    await only(mirror)
    new = make(second)
    _, found = await until(mirror, generation=2)
    old.look()
    old.seen(found)
    await until_it_is(Membership.REPLACED, old)
    if says_so:
        second.replica = replica(generation=2, state="gone")
        await new.stop()
    else:
        new.retire()  # as if it had died
        await mirror._etcd.revoke(found.lease)
    old.seen(None)
    await until(mirror, generation=1)
    await until_it_is(Membership.MEMBER, old)


async def test_one_that_was_told_of_the_next_generation_is_no_member_again(make: Make, mirror: Mirror) -> None:
    old = make(Told(generation=1))
    _, found = await only(mirror)
    old.retire()
    await mirror._etcd.delete(found.key)
    old.seen(None)
    make(Told(generation=2))
    assert (await only(mirror))[0].generation == 2
    assert old.membership is Membership.REPLACED
    assert old._keeping is not None
    assert old._keeping.cancelled() or old._keeping.cancelling()


async def test_another_run_has_the_name(
    etcd: Etcd, make: Make, mirror: Mirror, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is left alone, and followed when its lease ends: it has died."""
    lease, _ = await etcd.grant(2)
    await etcd.put(key, replica(run="1", host="h1").encode(), lease)
    presence = make(Told(run="2"))
    await soon(lambda: presence.other, "another one has the name")
    assert (presence.membership, presence.other) == (Membership.NAME_TAKEN, "h1, run 1")
    async with within("the name is its own"):
        while not (found := (await mirror.next()).values) or Replica.decode(found[key].value).run == "1":
            presence.seen(found.get(key))
    assert [record.message for record in caplog.records if record.levelno > logging.INFO] == ["fleet_name_held"]


async def test_a_run_that_lives_on_keeps_its_name(
    etcd: Etcd, make: Make, key: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence_module, "PAUSE", 0.01)
    monkeypatch.setattr(presence_module, "LATE", -9.9)  # of a lease of ten seconds
    await etcd.put(key, replica(run="1").encode())
    make(Told(run="2"))
    await soon(lambda: "fleet_name_taken" in caplog.messages, "it says that the name is taken")
    assert [one for one in caplog.messages if one.startswith("fleet")] == ["fleet_name_held", "fleet_name_taken"]


async def test_a_value_of_a_newer_version_is_left_alone(etcd: Etcd, make: Make, key: str, mirror: Mirror) -> None:
    await etcd.put(key, b'{"format":9}')
    presence = make(Told())
    assert presence._keeping is not None
    await soon(lambda: presence.other, "another one has the name")
    assert presence.membership is Membership.NAME_TAKEN
    assert "newer lbproxy" in presence.other
    found = await etcd.get(key)
    assert found is not None
    assert found.value == b'{"format":9}'


async def test_a_key_that_was_deleted_is_written_again(etcd: Etcd, make: Make, key: str, mirror: Mirror) -> None:
    presence = make(Told())
    await only(mirror)
    await etcd.delete(key)
    view = await mirror.next()
    presence.seen(view.values.get(key))
    assert (await only(mirror))[0] == replica()


async def test_a_lost_lease_is_replaced(etcd: Etcd, make: Make, mirror: Mirror) -> None:
    make(Told(), ttl=2)
    _, found = await only(mirror)
    await etcd.revoke(found.lease)
    async with within("the key ends with its lease"):
        while (await mirror.next()).values:
            pass
    assert (await only(mirror))[0] == replica()
