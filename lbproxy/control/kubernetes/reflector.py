"""Every object of a list, kept up to date: listed once, then watched.

| what happens | what the reflector does |
| --- | --- |
| nothing is known yet, or it is wanted anew | lists, in pages, and watches from the version of the list |
| the watch ends: its time is over, or the connection broke | watches on from the last version |
| the watch should have ended, and is silent | the same |
| 410 Gone, as the status or as an event: that version is compacted | lists again |
| the watch says what makes no sense | lists again |
| watches fail or end at once, one after the other | waits longer each time, up to `SLOWEST` |

Bookmarks keep the version young while nothing changes. A name is all that tells objects of one list apart, so it is
for one namespace.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Generic, NamedTuple, TypeVar

from lbproxy.control.kubernetes.api import Api, Stream, error_of
from lbproxy.control.kubernetes.errors import ExpiredError, KubernetesError, UnavailableError
from lbproxy.control.log import event

log = logging.getLogger(__name__)

PAGE = 500
"""Objects in one page of a list, as kubectl asks for them."""

SETTLE = 0.05
"""Seconds for which more is taken along after a change: what moves an endpoint from one slice to another is two."""

SLOWEST = 10.0
"""Seconds between two attempts to watch, at most, while watches fail."""

TOLD = 3
"""Watches that failed in a row when it is logged; once, until one works."""

_T = TypeVar("_T")


class Times(NamedTuple):
    """Of a watch, in seconds: the server ends it after `least` to `most`; `grace` later it is given up here.

    One that says nothing for less than `short` and ends, has failed.
    """

    least: float = 240.0
    most: float = 300.0
    grace: float = 10.0
    short: float = 1.0


class Reflector(Generic[_T]):
    """The objects at `path`, each as `decode` has it. Call `catch_up` and `changed` in turn, and `close`."""

    def __init__(
        self,
        api: Api,
        path: str,
        query: Mapping[str, str],
        decode: Callable[[Mapping[str, Any]], _T],
        times: Times = Times(),  # noqa: B008 # a tuple
    ) -> None:
        """decode: raises ValueError if the object makes no sense."""
        self.objects: Mapping[str, _T] = {}
        self._api = api
        self._path = path
        self._query = query
        self._decode = decode
        self._times = times
        self._version = ""
        self._watch: Stream | None = None
        self._begun = self._until = 0.0  # of the watch, by the loop's clock
        self._setbacks = 0  # in a row
        self._troubled = False  # and logged
        self._clock = asyncio.get_running_loop().time

    def __repr__(self) -> str:
        return f"<reflector of {self._path}, {len(self.objects)} objects>"

    def close(self) -> None:
        """End the watch; the objects stay as they are."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    async def catch_up(self, again: bool = False) -> None:
        """List what is to be listed, and watch on; `objects` is what the server has then. Raises KubernetesError.

        again: list in any case.
        """
        if again:
            self._forget()
        for _ in range(2):
            if not self._version:
                await self._list()
            if self._watch is not None:
                return
            try:
                await self._begin()
            except ExpiredError as error:
                self._set_back(error)
                self._forget()
            else:
                return

    async def changed(self, within: float) -> None:
        """Return when `objects` has changed, when it is time to catch up, or after so many seconds."""
        if self._watch is None:
            await asyncio.sleep(min(within, self._pause()))
            return
        until = self._clock() + within
        while (left := min(until, self._until) - self._clock()) > 0 and self._watch is not None:
            changed = False
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    changed = await self._hear(self._watch)
            if changed:
                until = min(until, self._clock() + SETTLE)
        if self._watch is not None and self._clock() >= self._until:
            self.close()  # the server should have ended it, so no server is there

    def _forget(self) -> None:
        self.close()
        self._version = ""

    def _pause(self) -> float:
        """After the first setback none: a version grows old, a server is replaced."""
        if self._setbacks < 2:
            return 0.0
        return min(SLOWEST, 0.5 * 2.0 ** min(self._setbacks - 2, 16)) * random.uniform(0.5, 1.0)

    def _set_back(self, error: KubernetesError | None) -> None:
        self._setbacks += 1
        if self._setbacks >= TOLD and not self._troubled:
            self._troubled = True
            reason = str(error or "watches end as soon as they have begun")
            event(log, logging.WARNING, "kubernetes_watch_failing", path=self._path, error=reason)

    async def _list(self) -> None:
        found: dict[str, _T] = {}
        page = {**self._query, "limit": str(PAGE)}
        while True:
            try:
                told = await self._api.get(self._path, page)
            except ExpiredError:
                if "limit" not in page:
                    raise
                found, page = {}, {**self._query}  # the list took longer than its version lives: all of it at once
                continue
            where = self._api.server
            meta = _table(where, told.get("metadata"))
            for one in told.get("items") or ():
                name, _, value = self._object(where, one)
                found[name] = value
            if not meta.get("continue"):
                break
            page["continue"] = str(meta["continue"])
        self._version = _version(where, meta)
        self.objects = found

    async def _begin(self) -> None:
        lasts = random.uniform(self._times.least, self._times.most)
        query = {
            **self._query,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": str(max(1, round(lasts))),
        }
        self._watch = await self._api.open(self._path, query)
        self._begun = self._clock()
        self._until = self._begun + lasts + self._times.grace

    async def _hear(self, watch: Stream) -> bool:
        """Take the next event; whether an object has changed."""
        try:
            told = await watch.line()
        except UnavailableError as error:
            self._ended(error)
            return False
        if told is None:
            self._ended(None)
            return False
        try:
            return self._take(watch.server, told)
        except KubernetesError as error:
            if isinstance(error, ExpiredError):
                self._version = ""
            self.close()
            self._set_back(error)
        return False

    def _ended(self, error: KubernetesError | None) -> None:
        """Nothing is lost: the next watch goes on from the version of the last whole line."""
        self.close()
        if self._clock() - self._begun < self._times.short:
            self._set_back(error)

    def _take(self, server: str, told: Mapping[str, Any]) -> bool:
        kind, thing = told.get("type"), told.get("object")
        if kind == "ERROR":
            raise error_of(server, _table(server, thing))
        try:
            if kind == "BOOKMARK":
                self._version = _version(server, _table(server, _table(server, thing).get("metadata")))
            elif kind in ("ADDED", "MODIFIED", "DELETED"):
                self._change(server, kind, thing)
        except UnavailableError:
            self._version = ""  # what was missed is not known
            raise
        self._setbacks, self._troubled = 0, False
        return kind in ("ADDED", "MODIFIED", "DELETED")

    def _change(self, server: str, kind: str, thing: object) -> None:
        name, version, value = self._object(server, thing)
        objects = {**self.objects}
        if kind == "DELETED":
            objects.pop(name, None)
        else:
            objects[name] = value
        self.objects, self._version = objects, version

    def _object(self, server: str, thing: object) -> tuple[str, str, _T]:
        """Its name, its version, and what it is decoded to."""
        found = _table(server, thing)
        meta = _table(server, found.get("metadata"))
        try:
            return str(meta["name"]), _version(server, meta), self._decode(found)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UnavailableError(server, f"an object that makes no sense: {type(error).__name__}: {error}") from None


def _table(server: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise UnavailableError(server, "it does not answer as Kubernetes does")
    return value


def _version(server: str, meta: Mapping[str, Any]) -> str:
    found = meta.get("resourceVersion")
    if not isinstance(found, str) or not found:
        raise UnavailableError(server, "it does not answer as Kubernetes does: there is no resourceVersion")
    return found
