"""`kind = "etcd"`: the connectors that have registered themselves, followed in etcd."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from lbproxy.balance.member import Member
from lbproxy.control import tasks
from lbproxy.control.discovery.acknowledger import Acknowledger
from lbproxy.control.discovery.registry import Connector, State
from lbproxy.control.discovery.source import Answer, Source, SourceError
from lbproxy.control.etcd import CompactedError, Etcd, EtcdError, KeyValue

GRACE = 3.0
"""Seconds within which a watch that broke may stand again: a cluster that elects another leader has not failed."""


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
        self._answered = 0  # the revision of the last answer
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
        if self._following is not None:
            self._following.cancel()
            self._recovered()
            await asyncio.gather(self._following, return_exceptions=True)
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
        self._answered = self._revision
        return self._answer(self._values)

    async def wait(self, seconds: float) -> None:
        """Return earlier when something has changed, or when etcd has not answered for a while."""
        if self._acknowledger is not None and self._answered:
            self._acknowledger.seen(self._answered)
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            pass

    def _answer(self, values: Mapping[str, KeyValue]) -> Answer:
        members: list[Member] = []
        left_out: list[str] = []
        leaving: set[str] = set()
        facts: dict[str, Mapping[str, str]] = {}
        for key, value in values.items():
            name = key.removeprefix(self.where)
            try:
                connector = Connector.decode(value.value)
                member = connector.member(name)
            except ValueError as error:
                left_out.append(f"{name}: {error}")
                continue
            facts[name] = connector.facts
            if connector.state == State.SERVING:
                members.append(member)
            elif connector.state == State.LEAVING:
                leaving.add(name)
        return Answer(tuple(members), left_out=tuple(left_out), leaving=frozenset(leaving), facts=facts)

    async def _follow(self) -> None:
        async with self._etcd.mirror(self.where, self._failed) as mirror:
            while True:
                self._values, self._revision = await mirror.next()
                self._recovered()
                self._news.set()

    def _failed(self, error: EtcdError) -> None:
        if isinstance(error, CompactedError):
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
