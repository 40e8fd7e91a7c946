"""A connector in the registry: it serves while its check is good, and leaves before it ends."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

from lbproxy.balance import full_name
from lbproxy.control import tasks
from lbproxy.control.discovery import registry
from lbproxy.control.discovery.registry import Acknowledgement, Connector, State
from lbproxy.control.etcd import Etcd, EtcdError, KeyValue, Lease, View, values
from lbproxy.control.log import event
from lbproxy.control.probes import Probe
from lbproxy.errors import LbproxyError

log = logging.getLogger(__name__)

INTERVAL = 1.0
"""Seconds between two checks."""

_LATE = 3.0  # seconds after the end of a lease, within which etcd notices it


class NameTakenError(LbproxyError):
    """Another live registration has the name; the text says whose it is."""


class Place(NamedTuple):
    """Under which name a connector is registered, and where."""

    fleet: str
    pool: str
    name: str

    @property
    def key(self) -> str:
        """Of the connector, in etcd."""
        return registry.connectors(self.fleet, self.pool) + self.name

    def __str__(self) -> str:
        return full_name.join(self.pool, self.name)


class _Held(NamedTuple):
    """The key is there under this lease, and says so since this revision."""

    lease: Lease
    state: State
    modified: int


class Registration:
    """One connector. `run` registers it, keeps it registered, and takes it out."""

    def __init__(
        self, etcd: Etcd, place: Place, connector: Connector, check: Probe, ttl: float, interval: float = INTERVAL
    ) -> None:
        """check: whether the connector serves; ttl: seconds, of the lease; interval: seconds between two checks."""
        self._etcd = etcd
        self._place = place
        self._connector = connector
        self._check = check
        self._ttl = ttl
        self._interval = interval
        self._held: _Held | None = None
        self._told = ""  # what was logged last, so that it is logged once
        self._other: tuple[int, float] | None = None  # who has the name: since which revision, and first seen when

    def __repr__(self) -> str:
        return f"<registration of {self._place}, {self._held.state if self._held else 'absent'}>"

    async def run(self, end: asyncio.Event, drain_timeout: float) -> None:
        """Until `end` is set; then until every balancer has drained it, or for `drain_timeout` seconds.

        Raises NameTakenError. While etcd does not answer, it tries again.
        """
        while not end.is_set():
            result = await self._check.run()
            if not result.ok:
                self._tell(logging.ERROR, "connector_out", check=result.detail)
            if result.ok or self._holds():
                await self._say(State.SERVING if result.ok else State.OUT)
            await self._pause(end)
        if self._held is not None:
            await self._leave(drain_timeout)

    async def _pause(self, end: asyncio.Event) -> None:
        await tasks.wait_for(end, self._interval)

    def _holds(self) -> bool:
        """Whether the key is still its own, as far as is known."""
        if self._held is not None and self._held.lease.lost.is_set():
            self._tell(logging.ERROR, "connector_lease_lost")
            self._held = None
        return self._held is not None

    async def _say(self, state: State) -> None:
        """Have the key say so, if it is there, or else claim it. What etcd does not carry out the next call does."""
        if not self._holds():
            await self._enter(state)
        elif self._held is not None and self._held.state is not state:
            await self._change(self._held, state)
        else:
            return
        if self._held is not None and self._held.state is state is State.SERVING:
            self._tell(logging.INFO, "connector_registered", url=self._connector.url)

    # --- the key

    async def _enter(self, state: State) -> None:
        lease: Lease | None = None
        modified = 0
        try:
            lease = await self._etcd.hold(self._ttl)
            modified = await self._claim(lease, state)
        except EtcdError as error:
            self._tell(logging.ERROR, "connector_not_registered", error=error)
        finally:
            if lease is not None and not modified:
                with suppress(EtcdError):  # it ends by itself
                    await lease.revoke()
        if lease is not None and modified:
            self._held = _Held(lease, state, modified)

    async def _claim(self, lease: Lease, state: State) -> int:
        """The revision from which on the key is this registration's; 0 if another one has it, maybe a dead one."""
        key, value = self._place.key, replace(self._connector, state=state).encode()
        expected = 0
        while True:
            done = await self._etcd.txn(
                [values.unchanged(key, expected)],
                [values.put(key, value, lease.id)],
                [values.read(key)],
                repeatable=True,
            )
            if done.succeeded:
                return done.revision
            found = done.listings[0].values
            if not found:  # it has vanished
                expected = 0
            elif found[0].lease == lease.id:  # the claim was carried out, and then repeated
                return found[0].modified
            elif _whose(found[0]).id == self._connector.id:  # under a lease that is lost
                expected = found[0].modified
            else:
                self._judge(found[0])
                return 0

    def _judge(self, found: KeyValue) -> None:
        """One that has died vanishes within its lease. Raises NameTakenError about one that has not, and stays."""
        now, other = asyncio.get_running_loop().time(), _whose(found)
        if self._other is None or self._other[0] != found.created or other.state == State.LEAVING:
            self._other = (found.created, now)
        whose = f"{other.by or 'somebody else'}, for {other.url}"
        if now > self._other[1] + self._ttl + _LATE:
            raise NameTakenError(f"{self._place} is registered by {whose}")
        self._tell(logging.WARNING, "connector_name_taken", by=whose)

    async def _change(self, held: _Held, state: State) -> None:
        """Only its own key: after a lost lease, another registration may have the name."""
        key, value = self._place.key, replace(self._connector, state=state).encode()
        try:
            done = await self._etcd.txn(
                [values.unchanged(key, held.modified)],
                [values.put(key, value, held.lease.id)],
                [values.read(key)],
                repeatable=True,
            )
        except EtcdError as error:
            self._tell(logging.ERROR, "connector_state_not_written", state=state, error=error)
            return
        found = () if done.succeeded else done.listings[0].values
        if done.succeeded:
            self._held = _Held(held.lease, state, done.revision)
        elif found and found[0].lease == held.lease.id:  # it was carried out, and then repeated
            self._held = _Held(held.lease, state, found[0].modified)
        else:  # the key was deleted, or is another's
            await self._give_up()

    async def _give_up(self) -> None:
        """End the lease, and the key with it."""
        held, self._held = self._held, None
        if held is not None:
            with suppress(EtcdError):  # it ends by itself
                await held.lease.revoke()

    # --- the end

    async def _leave(self, drain_timeout: float) -> None:
        """Its key says that it leaves until it is drained: so no balancer takes that for a fault of etcd."""
        waiting = "etcd"
        try:
            async with asyncio.timeout(drain_timeout):
                left_at = await self._say_that_it_leaves()
                async with self._etcd.mirror(registry.balancers(self._place.fleet, self._place.pool)) as mirror:
                    while waiting := self._waits_for(await mirror.next(), left_at):
                        self._tell(logging.INFO, "connector_draining", waits_for=waiting)
            event(log, logging.INFO, "connector_drained", connector=self._place)
        except TimeoutError:
            event(log, logging.WARNING, "connector_drain_timeout", connector=self._place, waits_for=waiting)
        finally:
            await self._give_up()

    async def _say_that_it_leaves(self) -> int:
        """The revision from which on the key says so."""
        while True:
            await self._say(State.LEAVING)
            if self._held is not None and self._held.state is State.LEAVING:
                return self._held.modified
            await asyncio.sleep(self._interval)

    def _waits_for(self, view: View, left_at: int) -> str:
        """Who has not drained it, and why; "" if all have."""
        missing = []
        for key, one in view.values.items():
            try:
                why = Acknowledgement.decode(one.value).waits_for(self._place.name, left_at)
            except ValueError as error:
                why = str(error)
            if why:
                missing.append(f"{key.rpartition('/')[2]}: {why}")
        return ", ".join(missing)

    def _tell(self, level: int, name: str, **fields: object) -> None:
        """Log what is going on, once."""
        now = f"{name} {fields}"
        if now != self._told:
            self._told = now
            event(log, level, name, connector=self._place, **fields)


def _whose(found: KeyValue) -> Connector:
    """Of a value that cannot be read nothing is known."""
    with suppress(ValueError):
        return Connector.decode(found.value)
    return Connector(url="an unknown URL")
