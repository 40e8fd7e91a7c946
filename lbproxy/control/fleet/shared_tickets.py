"""TLS sessions resume on every replica: the keys of session tickets are shared through etcd, sealed.

    /lbproxy/FLEET/tickets/MARK/NUMBER   {"format":1,"made":SECONDS,"sealed":BASE64}, under a lease of four rotations

MARK is that of the secret: replicas that have another one share keys of their own. A replica that finds the next key
due makes it, if no other one has done so by then; see `ticket_ring` for which one seals.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence

from lbproxy.control import tasks
from lbproxy.control.etcd import Etcd, EtcdError, EtcdRefusedError, KeyValue, View, values
from lbproxy.control.fleet import keys, ticket_ring
from lbproxy.control.fleet.fleet_secret import FleetSecret
from lbproxy.control.fleet.ticket_ring import RingMemory, TicketKey, TicketRing
from lbproxy.control.fleet.views import TicketsView
from lbproxy.control.log import event

log = logging.getLogger(__name__)

LOOK = 60.0
"""Seconds between two looks whether the next key is due."""

PAUSE = 5.0
"""Seconds after a failure."""

_SIZE = 32  # bytes of a key
_LEASE = 4 * ticket_ring.ROTATE  # keys of a fleet that is gone do not stay

Seal = Callable[[Sequence[bytes], bool], None]
"""Open session tickets with these keys, beside the balancer's own; True: and seal with the first of them."""


class SharedTickets:
    """The keys of the fleet `fleet`, for replicas whose secret is `secret`.

    Without etcd it goes on with those that are known, until their time is over: then the balancer's own key seals.
    `ignored` says by the key of etcd which values cannot be used. `seen` is set when etcd has shown its keys.
    """

    def __init__(
        self, etcd: Etcd, fleet: str, secret: FleetSecret, seal: Seal, memory: RingMemory | None = None
    ) -> None:
        """memory: of the generation before this one, if that had the same secret."""
        self.ring = TicketRing()
        if memory is not None:
            self.ring.remember(memory)
        self.ignored: dict[str, str] = {}
        self.seen = asyncio.Event()
        self.prefix = keys.tickets(fleet, secret.mark)
        self._etcd = etcd
        self._secret = secret
        self._seal = seal
        self._refused = ""
        self._top: KeyValue | None = None  # the one of the highest number, whether it can be used or not
        self._shared: bool | None = None
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<shared tickets, {self.ring!r}>"

    def start(self) -> None:
        """Use what is known, and make the next key whenever it is due."""
        self._use()
        self._task = tasks.start(self._keep_looking(), name="fleet tickets")

    async def stop(self) -> None:
        """Make no more."""
        await tasks.stop(self._task)

    def see(self, view: View) -> None:
        """etcd has these keys."""
        found: dict[int, TicketKey] = {}
        self.ignored, self._top, top = {}, None, 0
        for text, one in view.values.items():
            try:
                number = int(text.removeprefix(self.prefix))
                if number > top:
                    top, self._top = number, one
                found[number] = self._read(text, one)
            except ValueError as error:
                self.ignored[text] = str(error)
                if not self.seen.is_set():
                    event(log, logging.ERROR, "fleet_ticket_key_unread", key=text, why=error)
        self.seen.set()
        self.ring.see(found, time.monotonic())
        self._use()
        self._news.set()

    def view(self) -> TicketsView:
        """For the snapshot."""
        number = self.ring.sealing if self._shared else 0
        return {
            "secret": self._secret.mark,
            "shared": bool(self._shared),
            "why": "" if self._shared else self._why(),
            "key": number,
            "made": self.ring.keys[number].made if number else None,
        }

    def _why(self) -> str:
        if self._refused:
            return self._refused
        if self.ring.keys:
            return "nobody has made a new key, and the time of the last ones is over"
        return "no key can be used" if self.ignored else "no key of the fleet is known yet"

    def _read(self, text: str, found: KeyValue) -> TicketKey:
        told = keys.decode(found.value)
        sealed, made = told.get("sealed"), told.get("made")
        if not isinstance(sealed, str) or not keys.is_time(made):
            raise ValueError("it does not say what is sealed and when it was made")
        secret = self._secret.open(b64decode(sealed, validate=True), text)
        if len(secret) != _SIZE:
            raise ValueError(f"the key has not {_SIZE} bytes")
        return TicketKey(secret, float(made))

    def _use(self) -> None:
        shared = not self.ring.over(time.monotonic())
        self._seal(self.ring.secrets(), shared)
        if shared is not self._shared:
            before, self._shared = self._shared, shared
            if shared:
                event(log, logging.INFO, "fleet_tickets_shared", key=self.ring.sealing)
            elif before is not None:
                event(log, logging.WARNING, "fleet_tickets_alone", why=self._why())

    # --- the next key

    async def _keep_looking(self) -> None:
        while True:
            await tasks.wait_for(self._news, LOOK)
            self._news.clear()
            self._use()
            if self.seen.is_set() and self.ring.due(time.monotonic(), time.time()):
                try:
                    await self.rotate()
                    self._refused = ""
                except EtcdError as error:  # that etcd is gone is said elsewhere
                    self._refused = str(error) if isinstance(error, EtcdRefusedError) else ""
                    await asyncio.sleep(PAUSE)
                    self._news.set()

    async def rotate(self) -> bool:
        """Make the next key, the first two if there is none; whether it was this replica that did. Raises EtcdError."""
        top = self._top
        number = 1 if top is None else int(top.key.removeprefix(self.prefix)) + 1
        numbers = [number] if self.ring.keys else [number, number + 1]
        lease, _ = await self._etcd.grant(_LEASE)
        fresh = [(self._key(one), self._make(self._key(one))) for one in numbers]
        done = await self._etcd.txn(
            [
                *(values.unchanged(key, 0) for key, _ in fresh),
                *([] if top is None else [values.unchanged(top.key, top.modified)]),
            ],
            [
                *(values.put(key, value, lease) for key, value in fresh),
                *(values.delete(self._key(one)) for one in self.ring.to_delete()),
            ],
        )
        if not done.succeeded:
            await self._etcd.revoke(lease)
        return done.succeeded

    def _key(self, number: int) -> str:
        return f"{self.prefix}{number}"

    def _make(self, key: str) -> bytes:
        sealed = self._secret.seal(os.urandom(_SIZE), key)
        return keys.encode({"made": time.time(), "sealed": b64encode(sealed).decode()})
