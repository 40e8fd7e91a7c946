"""A balancer's own key in the fleet: there for as long as it runs, under its lease."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum

from lbproxy.control import tasks
from lbproxy.control.etcd import Etcd, EtcdError, EtcdRefusedError, KeyValue, Lease, values
from lbproxy.control.etcd.errors import PERMISSION_DENIED
from lbproxy.control.fleet.reach import Reach
from lbproxy.control.fleet.replica import GONE, Replica
from lbproxy.control.log import event

log = logging.getLogger(__name__)

PAUSE = 1.0
"""Seconds after a failure."""

LATE = 3.0
"""Seconds after the end of a lease, within which etcd notices it."""

_END_WITHIN = 1.0  # seconds for the key to be taken away


class Membership(StrEnum):
    """What a balancer is to the fleet."""

    JOINING = "joining"  # no key of its own yet
    MEMBER = "member"
    NAME_TAKEN = "name taken"  # another run has a key of its name
    READ_ONLY = "read-only"  # etcd lets it write no key
    REPLACED = "replaced"  # the next generation has the key


class Presence:
    """Keeps `key` at what `describe` gives. `membership` says whether it is there, and `other` which run has its name.

    A key of the same run, of a generation before this one, is taken over, and so is that of a run which has said that
    it is gone. That of the next generation is left alone while it is there: when its start fails, this one goes on.
    That of another run is left alone: it goes with its lease if the other has died.
    """

    def __init__(self, etcd: Etcd, key: str, ttl: float, describe: Callable[[], Replica], reach: Reach) -> None:
        """ttl: seconds, of the lease. It begins with `start`."""
        self.membership = Membership.JOINING
        self.other = ""
        self._etcd = etcd
        self._key = key
        self._ttl = ttl
        self._describe = describe
        self._reach = reach
        self._news = asyncio.Event()
        self._lease: Lease | None = None
        self._took_over = False  # from a generation before this one
        self._modified = 0  # the revision of the key as it was written last; 0 if it has to be claimed
        self._written = b""
        self._taken_since = 0.0  # on the loop's clock
        self._keeping: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<presence of {self._key}, {self.membership.value}>"

    def start(self) -> None:
        """Claim the key, and keep it."""
        self._keeping = tasks.start(self._keep(), name="fleet presence")

    def look(self) -> None:
        """What is to be told may have changed."""
        self._news.set()

    def seen(self, found: KeyValue | None) -> None:
        """The key is so in etcd. If that is not as it was written, it is claimed anew."""
        own = self._lease is not None and found is not None and found.lease == self._lease.id
        if self.membership is Membership.MEMBER and not own and (found is None or found.modified > self._modified):
            self._modified = 0
            self._news.set()
        elif self.membership in (Membership.NAME_TAKEN, Membership.REPLACED) and found is None:
            self._news.set()

    def retire(self) -> None:
        """Write no more: the next generation does, and goes on whatever happens."""
        self.membership = Membership.REPLACED
        if self._keeping is not None:
            self._keeping.cancel()

    async def stop(self) -> None:
        """Have the key say what `describe` gives, and leave it to its lease. The next generation's stays as it is.

        It is not deleted: the others could not tell that from a balancer that has died.
        """
        await tasks.stop(self._keeping)
        lease, self._lease = self._lease, None
        if lease is None:
            return
        await lease.abandon()
        claimed = self.membership in (
            Membership.JOINING,
            Membership.MEMBER,
        )  # joining: maybe, since a claim was cut off
        if claimed and not lease.lost.is_set():
            with suppress(EtcdError, TimeoutError):  # it ends by itself
                async with asyncio.timeout(_END_WITHIN):
                    await self._write(lease, self._describe().encode())

    async def _keep(self) -> None:
        while True:
            self._news.clear()
            try:
                await self._bring_up_to_date()
            except EtcdRefusedError as error:
                self._refused(error)
                await asyncio.sleep(PAUSE)
            except EtcdError as error:
                self._reach.failed(error)
                await asyncio.sleep(PAUSE)
            else:
                await self._something_new()

    async def _bring_up_to_date(self) -> None:
        if self._lease is None or self._lease.lost.is_set():
            if self.membership is Membership.MEMBER:
                self.membership = Membership.JOINING
            self._lease, self._modified = await self._etcd.hold(self._ttl), 0
        value = self._describe().encode()
        if not self._modified or value != self._written:
            await self._write(self._lease, value)

    async def _write(self, lease: Lease, value: bytes) -> None:
        expected = self._modified
        while True:
            done = await self._etcd.txn(
                [values.unchanged(self._key, expected)],
                [values.put(self._key, value, lease.id)],
                [values.read(self._key)],
                repeatable=True,
            )
            if done.succeeded:
                self._wrote(value, done.revision)
                return
            found = done.listings[0].values
            if not found:
                expected = 0
            elif found[0].lease == lease.id and found[0].value == value:  # it was carried out, and then repeated
                self._wrote(value, found[0].modified)
                return
            elif self._may_replace(found[0]):
                expected = found[0].modified
            else:
                return

    def _wrote(self, value: bytes, revision: int) -> None:
        self._written, self._modified = value, revision
        if self.membership is not Membership.MEMBER:
            self.membership, self.other = Membership.MEMBER, ""
            if not self._took_over:
                event(log, logging.INFO, "fleet_joined", key=self._key)

    def _may_replace(self, found: KeyValue) -> bool:
        """Whether the key is this run's own: of this generation, or of one before it."""
        own = self._describe()
        try:
            other = Replica.decode(found.value)
        except ValueError as error:
            self._taken(f"a value that cannot be read ({error})")
            return False
        if other.state == GONE:
            return True
        if other.run == own.run and other.generation > own.generation:  # unless it ends before it serves: see `retire`
            self.membership, self._modified = Membership.REPLACED, 0
        elif other.run == own.run:
            self._took_over = True
            return True
        else:
            self._taken(f"{other.host}, run {other.run}")
        return False

    def _taken(self, by: str) -> None:
        """Another run has the name. One that has died vanishes within its lease, so that this is no error yet."""
        now = asyncio.get_running_loop().time()
        self._modified = 0
        if self.membership is not Membership.NAME_TAKEN or self.other != by:
            self.membership, self.other, self._taken_since = Membership.NAME_TAKEN, by, now
            self._took_over = False
            event(log, logging.WARNING, "fleet_name_held", key=self._key, by=by)
        elif self._taken_since and now > self._taken_since + self._ttl + LATE:
            self._taken_since = 0.0  # which is logged once
            event(log, logging.ERROR, "fleet_name_taken", key=self._key, by=by)

    def _refused(self, error: EtcdRefusedError) -> None:
        """It answers, and refuses."""
        if error.code != PERMISSION_DENIED:
            self._reach.failed(error)
        elif self.membership is not Membership.READ_ONLY:
            self.membership = Membership.READ_ONLY
            event(log, logging.ERROR, "fleet_read_only", key=self._key, error=error)

    async def _something_new(self) -> None:
        """Something is to be told, or the lease was lost and with it the key; or the name may be free by now."""
        waits = [self._news.wait()]
        if self._lease is not None:
            waits.append(self._lease.lost.wait())
        patience = None if self.membership is Membership.MEMBER else PAUSE
        await tasks.first(*waits, within=patience)
