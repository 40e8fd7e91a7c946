"""What changes under a prefix, also over breaks."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Self

from lbproxy.control.etcd import values
from lbproxy.control.etcd.errors import CompactedError, EtcdError, EtcdUnavailableError, LostHistoryError, ReplacedError
from lbproxy.control.etcd.gateway import ATTEMPT, Gateway, Stream
from lbproxy.control.etcd.values import Batch, Message

QUIET = 5.0
"""Seconds after which the endpoint of a watch that says nothing is asked whether it is still part of the cluster."""

_LONGEST_PAUSE = 2.0  # seconds between two attempts to resume


class Watch:
    """Changes in their order, each once, from a revision on.

        async with etcd.watch(prefix, listing.revision + 1) as watch:
            while True:
                events, revision = await watch.next()

    After a break it goes on where it was, at another endpoint if need be. A quiet watch is told from a dead one by a
    question to its endpoint, `quiet` seconds after its last message: a host that is gone closes no connection.
    """

    def __init__(
        self,
        gateway: Gateway,
        prefix: str,
        revision: int,
        failed: Callable[[EtcdError], None],
        cluster: str = "",
        quiet: float = QUIET,
    ) -> None:
        """cluster: the one that `revision` is of, by `Listing.cluster`."""
        self._gateway = gateway
        self._range = values.prefix_range(prefix)
        self._prefix = prefix
        self._next = revision
        self._failed = failed
        self._cluster = cluster
        self._quiet = quiet
        self._pause = 0.0
        self._stream: Stream | None = None

    def __repr__(self) -> str:
        return f"<watch of {self._prefix} from revision {self._next}, {'open' if self._stream else 'broken'}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End it; it may not be used again."""
        self._drop()

    async def next(self) -> Batch:
        """The next changes; a Batch without events whenever the watch stands anew. May be cancelled and called again.

        Raises LostHistoryError if what has changed cannot be known any more. Every other failure is told to `failed`,
        and tried again.
        """
        while True:
            try:
                if self._stream is None:
                    return await self._open()
                batch = self._understood(self._stream, await self._receive(self._stream))
                if batch.events:
                    self._pause = 0.0
                    return batch
            except LostHistoryError:
                self._drop()
                raise
            except EtcdError as error:
                await self._broke(error)

    async def _open(self) -> Batch:
        create = {**self._range, "start_revision": str(self._next)}
        self._stream = stream = await self._gateway.open("/v3/watch", {"create_request": create})
        try:
            async with asyncio.timeout(ATTEMPT):
                first = await stream.message()
        except TimeoutError:
            raise EtcdUnavailableError(stream.endpoint, "a watch does not begin") from None
        except asyncio.CancelledError:
            self._drop()  # or the next call would wait for a word that has come
            raise
        self._recognise(stream, first)
        return self._understood(stream, first)

    def _recognise(self, stream: Stream, first: Message) -> None:
        """A revision below what was seen is another store's, or a node's that has fallen behind: a listing tells."""
        cluster, revision = values.cluster(first), values.revision(first)
        if (self._cluster and cluster and cluster != self._cluster) or 0 < revision < self._next - 1:
            raise ReplacedError(stream.endpoint)

    async def _receive(self, stream: Stream) -> Message:
        while True:
            try:
                async with asyncio.timeout(self._quiet):
                    return await stream.message()
            except TimeoutError:
                await self._gateway.call_at(stream.endpoint, "/v3/kv/range", {"key": self._range["key"]}, ATTEMPT)
                self._pause = 0.0  # not when it begins: etcd may cancel it at once, again and again

    def _understood(self, stream: Stream, told: Message) -> Batch:
        try:
            events = tuple(values.event(one) for one in told.get("events", ()))
            compacted = int(told.get("compact_revision", 0))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise EtcdUnavailableError(stream.endpoint, "it does not answer as etcd does") from None
        if compacted:
            raise CompactedError(stream.endpoint, compacted)
        if told.get("canceled"):
            why = str(told.get("cancel_reason") or "the watch was cancelled").removeprefix("etcdserver: ")
            raise EtcdUnavailableError(stream.endpoint, why)
        if events:  # not the header's: there may be more than was sent so far
            self._next = events[-1].revision + 1
        return Batch(events, self._next - 1)

    async def _broke(self, error: EtcdError) -> None:
        self._drop()
        if isinstance(error, EtcdUnavailableError):
            self._gateway.avoid(error.endpoint)
        self._failed(error)
        await asyncio.sleep(self._pause * random.uniform(0.5, 1))
        self._pause = min(_LONGEST_PAUSE, self._pause * 2 or 0.1)

    def _drop(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()
