"""A few threads for calls that block and cannot be interrupted."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TypeVar

_T = TypeVar("_T")


class Threads:
    """At most `limit` threads, started when they are needed.

    Unlike those of concurrent.futures they are daemons: a call that hangs in a library must not delay the end of the
    process. When all of them hang, further calls wait; their callers have timeouts.
    """

    def __init__(self, limit: int, name: str) -> None:
        self._limit = limit
        self._name = name
        self._jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._started = 0

    def __repr__(self) -> str:
        return f"<{self._started} of {self._limit} threads {self._name}>"

    def run(self, call: Callable[[], _T]) -> asyncio.Future[_T]:
        """What `call` returns or raises, as a future of the running loop; one cancelled in time never begins."""
        promise: Future[_T] = Future()
        self._jobs.put(lambda: keep(promise, call))
        if self._started < self._limit and not self._idle.acquire(blocking=False):
            self._started += 1
            threading.Thread(target=self._work, name=f"{self._name} {self._started}", daemon=True).start()
        return asyncio.wrap_future(promise)

    def _work(self) -> None:
        while True:
            self._jobs.get()()
            self._idle.release()


def keep(promise: Future[_T], call: Callable[[], _T]) -> None:
    """Keep it by what `call` returns or raises, unless it was cancelled before."""
    if not promise.set_running_or_notify_cancel():
        return
    try:
        promise.set_result(call())
    except BaseException as error:
        promise.set_exception(error)
