from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from lbproxy.control.threads import Threads


async def test_results_and_errors_come_back() -> None:
    threads = Threads(2, "test")
    assert await threads.run(lambda: 42) == 42
    with pytest.raises(ZeroDivisionError):
        await threads.run(lambda: 1 // 0)


async def test_threads_are_used_again() -> None:
    threads = Threads(100, "test")
    names = {await threads.run(lambda: threading.current_thread().name) for _ in range(100)}
    assert len(names) < 100  # now and then one has not come to rest when its result is there, and another is started


async def test_no_more_than_the_limit_at_a_time_and_the_others_wait() -> None:
    threads = Threads(2, "test")
    inside = threading.Semaphore(0)
    let_go = threading.Event()

    def hang(number: int) -> Callable[[], int]:
        def call() -> int:
            inside.release()
            let_go.wait()
            return number

        return call

    calls = [threads.run(hang(number)) for number in range(3)]
    for _ in range(2):
        await asyncio.to_thread(inside.acquire)
    assert repr(threads) == "<2 of 2 threads test>"
    assert not inside.acquire(blocking=False)
    let_go.set()
    assert await asyncio.gather(*calls) == [0, 1, 2]


async def test_a_call_that_nobody_waits_for_any_more_is_not_made() -> None:
    threads = Threads(1, "test")
    let_go = threading.Event()
    made: list[str] = []
    first = threads.run(let_go.wait)
    abandoned = threads.run(lambda: made.append("abandoned"))
    abandoned.cancel()
    await asyncio.sleep(0)  # the cancellation reaches the queue by a callback
    let_go.set()
    await first
    await threads.run(lambda: made.append("last"))
    assert made == ["last"]


def test_a_thread_that_hangs_does_not_delay_the_end_of_the_process() -> None:
    code = (
        "import asyncio, threading\n"
        "from lbproxy.control.threads import Threads\n"
        "async def main():\n"
        "    begun = threading.Event()\n"
        "    hanging = Threads(1, 'test').run(lambda: (begun.set(), threading.Event().wait()))\n"
        "    begun.wait()\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
