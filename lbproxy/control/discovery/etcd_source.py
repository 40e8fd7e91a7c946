"""`kind = "etcd"`: the connectors that have registered themselves, followed in etcd."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TypeVar

from lbproxy.balance.member import Member
from lbproxy.control import tasks
from lbproxy.control.discovery.acknowledger import Acknowledger
from lbproxy.control.discovery.registry import Connector, State
from lbproxy.control.discovery.source import Answer, Source, SourceError
from lbproxy.control.etcd import Etcd, EtcdError, KeyValue, LostHistoryError

GRACE = 3.0
"""Seconds within which a watch that broke may stand again: a cluster that elects another leader has not failed."""

GATHER = 0.25
"""Seconds between two answers at least: where much changes, many changes are one answer. The first is given at once."""

_T = TypeVar("_T")


class EtcdSource(Source):
    """The connectors of one pool that serve, with the facts that they have registered.

    The whole set is kept up to date here, so `look` asks etcd only if its answer is doubted.
    """

    name = "etcd"

    def __init__(
        self,
        etcd: Etcd,
        prefix: str,
        acknowledger: Callable[[], Acknowledger] | None = None,
        grace: float = GRACE,
    ) -> None:
        """prefix: `registry.connectors` of the pool. acknowledger: makes the one that hears what the pool has seen.

        grace: see `GRACE`.
        """
        self.where = prefix
        self._etcd = etcd
        self._grace = grace
        self._make_acknowledger = acknowledger
        self._acknowledger: Acknowledger | None = None
        self._following: asyncio.Task[None] | None = None
        self._values: Mapping[str, KeyValue] | None = None
        self._revision = 0  # of `_values`
        self._changed: set[str] | None = None  # keys since the last answer; None: any of them
        self._answered_values: Mapping[str, KeyValue] = {}  # of the last answer, of which these are made, by name:
        self._members: dict[str, Member] = {}
        self._facts: dict[str, Mapping[str, str]] = {}
        self._problems: dict[str, str] = {}
        self._leaving: dict[str, bool] = {}
        self._answered = 0  # its revision
        self._answered_at = -GATHER  # on the loop's clock
        self._waited_for = True  # a connector waits until it is acknowledged
        self._error: EtcdError | None = None  # since the last view
        self._patience: asyncio.TimerHandle | None = None  # until that is a failure
        self._news = asyncio.Event()

    def __repr__(self) -> str:
        return f"<etcd source {self.where} at revision {self._revision}>"

    async def start(self) -> None:
        """Follow it from now on."""
        if self._make_acknowledger is not None:
            self._acknowledger = self._make_acknowledger()
        self._following = tasks.start(self._follow(), name=f"etcd {self.where}")

    async def stop(self) -> None:
        """Follow it no more, and let no connector wait for this balancer."""
        await tasks.stop(self._following)
        self._recovered()
        if self._acknowledger is not None:
            await self._acknowledger.stop()

    async def look(self, again: bool = False) -> Answer:
        """The connectors as they are known. Raises SourceError while etcd does not answer."""
        if self._values is None and self._error is None:
            await self._news.wait()
        self._news.clear()
        if self._error is not None and self._patience is None:
            raise SourceError(str(self._error))
        if again:
            await self._list()
        assert self._values is not None, "or there was an error"
        answer = self._answer(self._values)
        self._waited_for = not self._answered or bool(answer.leaving)
        self._answered, self._answered_at = self._revision, asyncio.get_running_loop().time()
        return answer

    async def wait(self, seconds: float) -> None:
        """Return earlier when something has changed, or when etcd has not answered for a while."""
        if self._acknowledger is not None and self._answered and self._waited_for:
            self._acknowledger.seen(self._answered)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()
                await asyncio.sleep(self._answered_at + GATHER - asyncio.get_running_loop().time())

    def _answer(self, values: Mapping[str, KeyValue]) -> Answer:
        before, self._answered_values = self._answered_values, values
        changed, self._changed = self._changed, set()
        if changed is None:
            changed = {*before, *values}
        for key in sorted(changed):  # of thousands, some
            if before.get(key) != (value := values.get(key)):  # what is listed again is mostly what it was
                self._read(key, value)
        return Answer(
            tuple(self._members.values()),
            left_out=tuple(self._problems.values()),
            leaving=frozenset(self._leaving),
            facts=dict(self._facts),
        )

    def _read(self, key: str, value: KeyValue | None) -> None:
        """What `value` means; None: the key is gone."""
        name = key.removeprefix(self.where)
        connector = member = None
        problem = ""
        if value is not None:
            try:
                connector = Connector.decode(value.value)
                member = connector.member(name)
            except ValueError as error:
                connector, problem = None, f"{name}: {error}"
        state = connector.state if connector else ""
        _keep(self._members, name, member if state == State.SERVING else None)
        _keep(self._facts, name, connector.facts if connector else None)
        _keep(self._problems, name, problem or None)
        _keep(self._leaving, name, True if state == State.LEAVING else None)

    async def _follow(self) -> None:
        async with self._etcd.mirror(self.where, self._failed) as mirror:
            while True:
                view = await mirror.next()
                if view.listed or view.revision >= self._revision:  # `_list` may be ahead of what the watch has told
                    self._values, self._revision = view.values, view.revision
                if view.listed:
                    self._changed = None
                elif self._changed is not None:
                    self._changed |= view.changed
                self._recovered()
                self._news.set()

    def _failed(self, error: EtcdError) -> None:
        if isinstance(error, LostHistoryError):
            return  # what is there is listed next
        first, self._error = self._error is None, error
        if self._values is None:
            self._news.set()
        elif first:
            self._patience = asyncio.get_running_loop().call_later(self._grace, self._lost)

    def _lost(self) -> None:
        self._patience = None
        self._news.set()

    def _recovered(self) -> None:
        self._error = None
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    async def _list(self) -> None:
        try:
            listing = await self._etcd.list(self.where)
        except EtcdError as error:
            raise SourceError(str(error)) from None
        if listing.revision >= self._revision:
            self._values, self._revision = {one.key: one for one in listing.values}, listing.revision
            self._changed = None


def _keep(known: dict[str, _T], name: str, value: _T | None) -> None:
    """`value` in its place, where it has one already; None takes it away."""
    if value is None:
        known.pop(name, None)
    else:
        known[name] = value
