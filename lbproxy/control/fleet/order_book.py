"""All orders of the fleet as this replica knows them, beside what etcd has. Does no I/O."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple, TypedDict

from lbproxy.balance import full_name
from lbproxy.balance.operators import Said
from lbproxy.balance.orders import Stamp
from lbproxy.control.fleet import merge
from lbproxy.control.fleet.merge import NOTHING, Clock, Entry, Given

KEPT = 30 * 86400.0
"""Seconds for which an order that was taken back is kept: a replica that was cut off for longer might bring it back."""


SEEN = "seen"
"""A field of an entry that orders nothing: a replica that has the backend writes it, once a day."""

SEEN_EVERY = 86400.0
"""Seconds after which an order for a backend that is there is said to be needed still."""

MISSED_FOR = 7 * 86400.0
"""Seconds after which an order for a name that no replica has had is dropped: names of pods, say, never come back."""


class Key(NamedTuple):
    """Whose orders."""

    pool: str
    backend: str

    @classmethod
    def parse(cls, text: str) -> Key:
        """POOL/BACKEND. Raises ValueError."""
        pool, backend = full_name.split(text)
        if not (pool and backend):
            raise ValueError(f"{text!r} is not POOL/BACKEND")
        return cls(pool, backend)

    def __str__(self) -> str:
        return full_name.join(self.pool, self.backend)


class Stored(NamedTuple):
    """Orders as etcd has them, since the revision `modified`."""

    entry: Entry
    modified: int


class Lost(NamedTuple):
    """An order that was given here, and a later one of another replica that counts instead of it.

    `here_only`: etcd did not have the one that was given here.
    """

    key: Key
    field: str
    here: Given
    now: Given
    here_only: bool


class Seen(NamedTuple):
    """What follows from a look at etcd: keys whose orders are others now, and orders of this replica that lost.

    `given` has the last order of those that made the difference, by the key; for a key without one etcd has no orders
    any more.
    """

    changed: list[Key]
    lost: list[Lost]
    given: dict[Key, Given]


class BookMemory(TypedDict):
    """An `OrderBook` as JSON has it: for each key its pool, backend, entry, and revision (0: not in etcd)."""

    entries: list[tuple[str, str, dict[str, list[Any]], int]]
    pending: list[tuple[str, str, list[str]]]
    highest: int
    revision: int
    cluster: str


class OrderBook:
    """`entries` has the orders, `pending` the fields of those that etcd does not have yet: they are applied here only.

    `modified` is since which revision etcd has a key as it is known here; `revision` is what was seen of etcd last, and
    `cluster` says which etcd that was. `replica` is whose book it is.
    """

    def __init__(self, replica: str, run: str, wall: Callable[[], float]) -> None:
        """wall: the time, in seconds since the epoch."""
        self.entries: dict[Key, dict[str, Given]] = {}
        self.modified: dict[Key, int] = {}
        self.pending: dict[Key, set[str]] = {}
        self.revision = 0
        self.cluster = ""
        self.replica = replica
        self._run = run
        self._clock = Clock(wall)

    def __repr__(self) -> str:
        return f"<order book of {len(self.entries)}, {len(self.pending)} here only, at {self.revision}>"

    def said(self, key: Key) -> Said:
        """What is ordered for `key`."""
        return merge.said(key.backend, self.entries.get(key, {}), self.replica)

    def give(self, key: Key, told: Said, stamp: Stamp, fields: Collection[str] | None = None) -> bool:
        """Operators say `told` here. Returns whether that is something new.

        stamp: who says so and when. fields: those that were ordered; also one that was so already is given anew then,
        since another replica may have given something else meanwhile. None: those that are others now, by the stamps
        that `told` has itself.
        """
        entry, new = dict(self.entries.get(key, {})), set()
        stamps = dict(told.order.stamps)
        if told.member is not None and told.member.added is not None:
            stamps["member"] = told.member.added
        for field, value in merge.values(told).items():
            before = entry[field].value if field in entry else NOTHING[field]
            if value != before if fields is None else field in fields:
                by, at = stamps.get(field, stamp) if fields is None else stamp
                entry[field] = Given(value, self._clock.now(), self._run, self.replica, by, at)
                new.add(field)
        if new:
            self.entries[key] = entry
            self.pending.setdefault(key, set()).update(new)
        return bool(new)

    def hear(self, key: Key, entry: Entry) -> bool:
        """Another generation of this replica has that, which etcd may not have. Returns whether it is something new."""
        before = self.entries.get(key, {})
        now = merge.merged(before, entry)
        self._clock.saw(entry)
        if now == before:
            return False
        self.entries[key] = now
        self.pending.setdefault(key, set()).update(field for field in now if now[field] != before.get(field))
        return True

    def adopt(self, key: Key, told: Said) -> None:
        """An order that is older than the fleet: it counts from when it was given."""
        if key in self.entries:
            return
        stamps = dict(told.order.stamps)
        if told.member is not None and told.member.added is not None:
            stamps["member"] = told.member.added
        entry = {}
        for field, value in merge.values(told).items():
            if value != NOTHING[field]:
                by, at = stamps.get(field, Stamp())
                entry[field] = Given(value, int(at * 1e6), self._run, self.replica, by, at)
        if entry:
            self._clock.saw(entry)
            self.entries[key] = entry
            self.pending[key] = set(entry)

    # --- what etcd has

    def is_another(self, revision: int, cluster: str) -> bool:
        """Whether an etcd of that `cluster`, at `revision`, is another store than the one that was seen last."""
        return revision < self.revision or bool(self.cluster and cluster and cluster != self.cluster)

    def see(self, stored: Mapping[Key, Stored], revision: int, unread: Collection[Key] = (), cluster: str = "") -> Seen:
        """etcd has exactly these orders at `revision`; `unread` are those that could not be understood.

        A key that vanished was deleted by hand, or because it was void for long: its orders end. If etcd itself is
        another one than before, all that is known here is written to it.
        """
        if self.is_another(revision, cluster):
            self.modified.clear()
            self.pending.update((key, set(entry)) for key, entry in self.entries.items() if not merge.is_void(entry))
        self.revision, self.cluster = revision, cluster or self.cluster
        seen = Seen([], [], {})
        for key, found in stored.items():
            if found.modified > self.modified.get(key, 0):
                self._take(key, found, seen)
        for key in [key for key, at in self.modified.items() if key not in stored and at <= revision]:
            del self.modified[key]
            if key not in unread and not self.is_pending(key):
                self.pending.pop(key, None)
                if not merge.is_void(self.entries.pop(key, {})):
                    seen.changed.append(key)
        return seen

    def found(self, key: Key, found: Stored | None) -> Seen:
        """etcd has that of `key`, where something else was expected; None: it has no such key."""
        seen = Seen([], [], {})
        if found is None:
            self.modified.pop(key, None)
        else:
            self._take(key, found, seen)
        return seen

    def wrote(self, key: Key, entry: Entry, revision: int) -> None:
        """etcd has `entry`, which was written, since `revision`."""
        self.modified[key] = max(revision, self.modified.get(key, 0))
        self._pend(key, entry)

    def is_pending(self, key: Key) -> bool:
        """Whether etcd lacks an order for `key`."""
        return any(field != SEEN for field in self.pending.get(key, ()))

    def quiet(self, now: float) -> dict[Key, float]:
        """Orders of which nothing was heard for a day, and for how many seconds; now: since the epoch."""
        last = {key: max(one.at for one in entry.values()) for key, entry in self.entries.items() if entry}
        return {
            key: now - at
            for key, at in last.items()
            if now - at >= SEEN_EVERY and key not in self.pending and not merge.is_void(self.entries[key])
        }

    def needed(self, key: Key, now: float) -> None:
        """Its backend is here at `now` (since the epoch): tell the others."""
        self.entries[key][SEEN] = Given(None, self._clock.now(), self._run, self.replica, "", now)
        self.pending.setdefault(key, set()).add(SEEN)

    def void(self, now: float) -> list[Key]:
        """Keys of which nothing was left for so long (`KEPT`) that they may be deleted; now: since the epoch."""
        return [
            key
            for key, entry in self.entries.items()
            if merge.is_void(entry) and all(now - given.at > KEPT for given in entry.values())
        ]

    def _take(self, key: Key, found: Stored, seen: Seen) -> None:
        before = self.entries.get(key, {})
        now = merge.merged(before, found.entry)
        self._clock.saw(found.entry)
        self.modified[key] = found.modified
        for field, here in before.items():
            if here.run == self._run and now[field].value != here.value:
                here_only = field in self.pending.get(key, ())
                seen.lost.append(Lost(key, field, here, now[field], here_only))
        self.entries[key] = now
        new = [given for field, given in now.items() if field != SEEN and given != before.get(field)]
        if new:
            seen.changed.append(key)
            seen.given[key] = merge.latest(new)
        self._pend(key, found.entry)

    def _pend(self, key: Key, stored: Entry) -> None:
        """etcd has `stored`: what is known here beside that is to be written."""
        missing = {field for field, given in self.entries.get(key, {}).items() if stored.get(field) != given}
        if missing:
            self.pending[key] = missing
        else:
            self.pending.pop(key, None)

    # --- the next generation

    def memory(self) -> BookMemory:
        """All of it."""
        return {
            "entries": [(*key, merge.encode(one), self.modified.get(key, 0)) for key, one in self.entries.items()],
            "pending": [(*key, sorted(fields)) for key, fields in self.pending.items()],
            "highest": self._clock.highest,
            "revision": self.revision,
            "cluster": self.cluster,
        }

    def remember(self, memory: BookMemory) -> dict[Key, str]:
        """Go on from there. Returns why the orders of a key are left out, if they cannot be read."""
        left_out: dict[Key, str] = {}
        for pool, backend, entry, modified in memory["entries"]:
            key = Key(pool, backend)
            try:
                self.entries[key] = merge.decode(backend, entry)
            except ValueError as error:
                left_out[key] = str(error)
                continue
            if modified:
                self.modified[key] = modified
        pending = {Key(pool, backend): set(fields) for pool, backend, fields in memory["pending"]}
        self.pending = {key: fields for key, fields in pending.items() if key in self.entries}
        self._clock.highest, self.revision, self.cluster = memory["highest"], memory["revision"], memory["cluster"]
        return left_out
