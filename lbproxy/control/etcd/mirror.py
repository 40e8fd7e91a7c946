"""A prefix as it is: listed once, then watched."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, Self

from lbproxy.control.etcd.errors import EtcdError, LostHistoryError
from lbproxy.control.etcd.values import KeyValue
from lbproxy.control.etcd.watch import Watch

if TYPE_CHECKING:
    from lbproxy.control.etcd.client import Etcd

_LONGEST_PAUSE = 2.0  # seconds between two attempts to list


class View(NamedTuple):
    """Every key under the prefix, as they were at `revision` of the store `cluster`.

    `listed`: all were read anew. Otherwise `changed` are the keys that are not as in the view before.
    """

    values: Mapping[str, KeyValue]
    revision: int
    cluster: str = ""
    listed: bool = False
    changed: frozenset[str] = frozenset()


class Mirror:
    """Views of a prefix, one after the other, for as long as it takes.

        async with etcd.mirror(prefix, failed) as mirror:
            while True:
                values, revision = await mirror.next()

    The first view is a listing. `failed` hears of each failure; what was known stays known meanwhile, and a view comes
    when etcd answers again, even if nothing has changed. Everything is listed again after a compaction, and when it is
    another store than before.
    """

    def __init__(self, etcd: Etcd, prefix: str, failed: Callable[[EtcdError], None]) -> None:
        self._etcd = etcd
        self._prefix = prefix
        self._failed = failed
        self._values: dict[str, KeyValue] = {}
        self._cluster = ""
        self._watch: Watch | None = None
        self._fresh = False  # the next word of the watch that it stands is no news

    def __repr__(self) -> str:
        return f"<mirror of {self._prefix}, {len(self._values)} keys>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End it."""
        watch, self._watch = self._watch, None
        if watch is not None:
            await watch.close()

    async def next(self) -> View:
        """The next view. May be cancelled and called again."""
        while True:
            if self._watch is None:
                return await self._list()
            try:
                events, revision = await self._watch.next()
            except LostHistoryError as error:
                self._failed(error)
                self._watch = None
                continue
            for event in events:
                if event.value is None:
                    self._values.pop(event.key, None)
                else:
                    self._values[event.key] = event.value
            fresh, self._fresh = self._fresh, False
            if events or not fresh:
                return self._view(revision, changed=frozenset([event.key for event in events]))

    async def _list(self) -> View:
        pause = 0.1
        while True:
            try:
                listing = await self._etcd.list(self._prefix)
            except EtcdError as error:
                self._failed(error)
                await asyncio.sleep(pause * random.uniform(0.5, 1))
                pause = min(_LONGEST_PAUSE, pause * 2)
                continue
            self._values = {one.key: one for one in listing.values}
            self._cluster = listing.cluster
            self._watch = self._etcd.watch(self._prefix, listing.revision + 1, self._broke, listing.cluster)
            self._fresh = True
            return self._view(listing.revision, listed=True)

    def _broke(self, error: EtcdError) -> None:
        self._fresh = False
        self._failed(error)

    def _view(self, revision: int, listed: bool = False, changed: frozenset[str] = frozenset()) -> View:
        return View(MappingProxyType(dict(self._values)), revision, self._cluster, listed, changed)
