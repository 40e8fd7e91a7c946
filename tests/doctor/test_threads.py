from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest

from lbproxy.doctor.threads import DaemonThreads

HANGS = """
import asyncio, threading
from lbproxy.doctor.threads import DaemonThreads

async def main():
    asyncio.get_running_loop().set_default_executor(DaemonThreads())
    try:
        await asyncio.wait_for(asyncio.to_thread(threading.Event().wait), 0.01)
    except TimeoutError:
        print("gave up")

asyncio.run(main())
"""


def test_a_call_that_hangs_delays_neither_the_loop_nor_the_end_of_the_process() -> None:
    done = subprocess.run([sys.executable, "-c", HANGS], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "gave up\n"


def test_what_a_call_returns_and_raises_arrives() -> None:
    threads = DaemonThreads()
    assert threads.submit(lambda one, two: one + two, 1, two=2).result() == 3
    assert threads.submit(threading.current_thread).result().daemon
    with pytest.raises(ZeroDivisionError):
        threads.submit(lambda: 1 // 0).result()


async def test_serves_a_loop() -> None:
    asyncio.get_running_loop().set_default_executor(DaemonThreads())
    assert await asyncio.to_thread(lambda: threading.current_thread().name) == "doctor"
