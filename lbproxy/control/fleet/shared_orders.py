"""Orders that hold on every replica: those given here are written to etcd, and those of etcd are applied here."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from lbproxy.balance.operators import Said
from lbproxy.balance.orders import Order, Stamp
from lbproxy.control import tasks
from lbproxy.control.etcd import Etcd, EtcdError, EtcdRefusedError, KeyValue, View, values
from lbproxy.control.fleet import keys, merge
from lbproxy.control.fleet.order_book import MISSED_FOR, SEEN, Key, OrderBook, Seen, Stored
from lbproxy.control.fleet.reach import Reach
from lbproxy.control.fleet.views import OrderView
from lbproxy.control.log import event

log = logging.getLogger(__name__)

PAUSE = 0.5
"""Seconds after a failure."""

PATIENCE = 2.0
"""Seconds for which the answer to an order waits for etcd, unless etcd is known to be out of reach."""

_RECONCILED = 60.0
"""Seconds after the last failure in which an order that held here only may meet those of replicas that come back."""

_NOTHING = Said(None, Order())
_TRIES = 5  # of one key in a row, while others write it too
_TIDY_EVERY = 3600.0  # seconds

_UNCHANGED_FOR = 2 * 86400.0
"""Seconds for which this replica has seen no change of an order that it drops, whatever the clocks of hosts say."""

Apply = Callable[[str, str, Said], None]
"""Let a pool's backend be as operators say, whether there is one or not."""


class SharedOrders:
    """The orders of the fleet `fleet`. `book` has them, `ignored` says by the key why a value is left alone.

    `refused` is why etcd takes no orders, although it answers; else it is empty.
    """

    def __init__(
        self,
        etcd: Etcd,
        fleet: str,
        book: OrderBook,
        apply: Apply,
        reach: Reach,
        has: Callable[[str, str], bool] = lambda pool, backend: True,
    ) -> None:
        """apply: called for what changes; not for what is given here. has: whether this balancer has a backend."""
        self.book = book
        self.ignored: dict[str, str] = {}
        self.refused = ""
        self.seen_at: dict[Key, float] = {}  # when etcd had the last change of a key, monotonic
        self._alone: dict[tuple[Key, str, int], float] = {}  # what held here only, and until when that matters
        self._etcd = etcd
        self._prefix = keys.orders(fleet)
        self._apply = apply
        self._reach = reach
        self._has = has
        self._news = asyncio.Event()
        self._settled = asyncio.Event()
        self._settled.set()
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<shared orders, {self.book!r}>"

    def start(self) -> None:
        """Write what is given here from now on."""
        self._task = tasks.start(self._keep_writing(), name="fleet orders")
        self._look()

    async def stop(self) -> None:
        """Write no more."""
        await tasks.stop(self._task)

    def give(self, key: Key, told: Said, stamp: Stamp, fields: tuple[str, ...] | None = None) -> None:
        """An operator has given that order here, where it is applied already: see `OrderBook.give`."""
        if self.book.give(key, told, stamp, fields):
            self._look()

    def hear(self, key: Key, entry: merge.Entry) -> None:
        """Another generation of this replica has these orders for `key`; what is known here may be later."""
        if self.book.hear(key, entry):
            self._apply(*key, self.book.said(key))
            self._look()

    def adopt(self, key: Key, told: Said) -> None:
        """An order from before there was a fleet."""
        self.book.adopt(key, told)
        self._look()

    def carry_out(self, carried_out: Mapping[Key, Said]) -> None:
        """Apply what is remembered where that is not `carried_out`: the generation before may have had no such pool."""
        for key in self.book.entries:
            told = self.book.said(key)
            if merge.values(told) != merge.values(carried_out.get(key, _NOTHING)):
                self._apply(*key, told)

    async def settled(self) -> None:
        """Wait until etcd has all that was given here, or cannot be asked."""
        if self._reach.since is None and not self.refused and self._task is not None:
            await tasks.wait_for(self._settled, PATIENCE)
        self._hold_alone()

    def here_only(self, key: Key) -> str:
        """Why the orders for `key` hold here only; "" if the whole fleet has them."""
        if not self.book.is_pending(key):
            return ""
        newer = f"{self._prefix}{key}" in self.ignored
        return (
            "etcd has orders for it that a newer lbproxy has written"
            if newer
            else (self.refused or self._reach.error or "etcd has not answered yet")
        )

    def see(self, view: View) -> None:
        """etcd has these keys."""
        stored: dict[Key, Stored] = {}
        unread: list[Key] = []
        self.ignored = {}
        anew = self.book.is_another(view.revision, view.cluster)
        for text, found in view.values.items():
            key = self._key(text)
            try:
                if key is None:
                    raise ValueError("its key is not orders/POOL/BACKEND")
                if anew or found.modified > self.book.modified.get(key, 0):
                    stored[key] = _read(key, found)
                    self.seen_at[key] = time.monotonic()
                else:
                    stored[key] = Stored({}, found.modified)  # as it is known, and not looked at
            except ValueError as error:
                self.ignored[text] = str(error)
                unread += [] if key is None else [key]
        self._follow(self.book.see(stored, view.revision, unread, view.cluster))

    def _key(self, text: str) -> Key | None:
        with suppress(ValueError):
            return Key.parse(text.removeprefix(self._prefix))
        return None

    def _follow(self, seen: Seen) -> None:
        for key, field, here, now, here_only in seen.lost:
            until = self._alone.pop((key, field, here.stamp), 0.0)
            if not here_only and time.monotonic() > until:
                continue  # both could be heard: the later one was meant to end this one
            values_of = {"here": _text(here.value), "here_by": here.by, "now": _text(now.value)}
            event(log, logging.WARNING, "fleet_order_superseded", pool=key.pool, backend=key.backend, field=field,
                  **values_of, by=now.by, replica=now.replica)  # fmt: skip
        for key in seen.changed:
            told = self.book.said(key)
            given = seen.given.get(key)
            if given is None:
                self.seen_at.pop(key, None)
                event(log, logging.WARNING, "fleet_order_dropped", pool=key.pool, backend=key.backend)
            else:
                ordered = {**_ordered(told), "by": merge.giver(given, self.book.replica)}
                event(log, logging.INFO, "fleet_order_applied", pool=key.pool, backend=key.backend, **ordered)
            self._apply(*key, told)
        self._look()

    def _to_write(self) -> list[Key]:
        return [key for key in self.book.pending if f"{self._prefix}{key}" not in self.ignored]

    def _look(self) -> None:
        if self._to_write():
            self._settled.clear()
            self._news.set()
        else:
            self._settled.set()

    def view(self, has: Callable[[str, str], bool]) -> list[OrderView]:
        """Those that order something. has: whether this balancer has such a backend."""
        book = self.book
        return [
            {
                "pool": key.pool,
                "backend": key.backend,
                "given": {
                    field: {"value": one.value, "by": one.by, "at": one.at, "replica": one.replica}
                    for field, one in entry.items()
                    if field != SEEN
                    if one.value != merge.NOTHING.get(field) or field in book.pending.get(key, ())
                },
                "here_only": self.here_only(key),
                "waits": not has(*key),
            }
            for key, entry in sorted(book.entries.items())
            if book.is_pending(key) or not merge.is_void(entry)
        ]

    # --- writing

    async def _keep_writing(self) -> None:
        while True:
            await tasks.wait_for(self._news, _TIDY_EVERY)
            self._news.clear()
            try:
                for key in self._to_write():
                    await self._write(key)
                await self._tidy()
                self.refused = ""
            except EtcdRefusedError as error:
                self.refused = str(error)
                await self._fail()
            except EtcdError as error:
                self._reach.failed(error)
                await self._fail()
            self._look()

    def _hold_alone(self) -> None:
        """Remember what holds here only by now: the operator is told so."""
        now = time.monotonic()
        self._alone = {one: until for one, until in self._alone.items() if until > now}
        for key, fields in self.book.pending.items():
            for field in fields - {SEEN}:
                self._alone[key, field, self.book.entries[key][field].stamp] = now + _RECONCILED

    async def _fail(self) -> None:
        self._hold_alone()
        self._settled.set()  # those who wait are told that it holds here only
        await asyncio.sleep(PAUSE)

    async def _write(self, key: Key) -> None:
        """Write the orders for `key`, merged with what etcd has of them."""
        book, text = self.book, f"{self._prefix}{key}"
        for _ in range(_TRIES):
            entry = dict(book.entries.get(key, {}))
            if key not in book.pending or text in self.ignored:
                return
            done = await self._etcd.txn(
                [values.unchanged(text, book.modified.get(key, 0))],
                [values.put(text, keys.encode({"fields": merge.encode(entry)}))],
                [values.read(text)],
                repeatable=True,
            )
            self.seen_at[key] = time.monotonic()
            if done.succeeded:
                book.wrote(key, entry, done.revision)
            else:
                found = done.listings[0].values
                try:
                    self._follow(book.found(key, _read(key, found[0]) if found else None))
                except ValueError as error:
                    self.ignored[text] = str(error)

    async def _tidy(self) -> None:
        """Delete what was taken back long ago, or is for a name that is long gone; every replica may do it."""
        now = time.monotonic()
        gone = self.book.void(time.time())
        for key, seconds in self.book.quiet(time.time()).items():
            if self._has(*key):
                self.book.needed(key, time.time())
            elif seconds >= MISSED_FOR:
                gone.append(key)
        for key in gone:
            # The clock of this host may be wrong: a replica that has the backend would have said so meanwhile.
            text, modified = f"{self._prefix}{key}", self.book.modified.get(key, 0)
            if modified and now - self.seen_at.setdefault(key, now) >= _UNCHANGED_FOR:
                await self._etcd.txn([values.unchanged(text, modified)], [values.delete(text)], repeatable=True)


def _read(key: Key, found: KeyValue) -> Stored:
    return Stored(merge.decode(key.backend, keys.decode(found.value).get("fields")), found.modified)


def _ordered(told: Said) -> Mapping[str, Any]:
    """What is ordered, for the log: nothing of it if nothing is."""
    return {name: _text(value) for name, value in merge.values(told).items() if value != merge.NOTHING[name]}


def _text(value: object) -> object:
    return " ".join(map(str, value)) if isinstance(value, list) else value
