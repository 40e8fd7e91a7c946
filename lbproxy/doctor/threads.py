"""Threads for calls that block and cannot be interrupted, such as those that ask a name server or a directory."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from lbproxy.control.threads import keep

_P = ParamSpec("_P")
_T = TypeVar("_T")


class DaemonThreads(ThreadPoolExecutor):
    """An event loop's default executor whose calls never delay the end of the process: each has a daemon thread.

    A loop, and the interpreter, wait for the threads of ThreadPoolExecutor, however long they hang.
    """

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """See `concurrent.futures.Executor`."""
        future: Future[_T] = Future()
        work = partial(keep, future, partial(fn, *args, **kwargs))
        threading.Thread(target=work, daemon=True, name="doctor").start()
        return future
