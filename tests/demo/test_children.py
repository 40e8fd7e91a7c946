from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from lbproxy.demo.children import Child
from lbproxy.errors import StartError

SERVES = "import signal; print('hello'); print('ready: here', flush=True); signal.pause()"
IS_DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + SERVES
READS_ENVIRONMENT = "import os; print('ready:', os.environ['WHO'])"
CHATTERS_AND_ENDS = "import sys; print('ready: x'); [print('line', n) for n in range(9)]; sys.exit(3)"
SAYS_NOTHING = "import signal; signal.pause()"
FAILS = "import sys; sys.exit('no keytab')"


@pytest.fixture
async def child(tmp_path: Path) -> AsyncIterator[Callable[..., Child]]:
    async with AsyncExitStack() as stack:

        def child(program: str, **environment: str) -> Child:
            command = [sys.executable, "-c", program]
            result = Child("c1", command, tmp_path / "log", "ready: ", environment)
            stack.push_async_callback(result.stop)
            return result

        yield child


def runs(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def test_the_value_of_the_ready_line(child: Callable[..., Child]) -> None:
    one = child(SERVES)
    assert await one.start() == "here"
    assert runs(one.pid)


async def test_the_environment_comes_on_top(child: Callable[..., Child]) -> None:
    assert await child(READS_ENVIRONMENT, WHO="alice").start() == "alice"


async def test_the_output_goes_to_the_log(child: Callable[..., Child], tmp_path: Path) -> None:
    one = child(CHATTERS_AND_ENDS)
    await one.start()
    assert await one.ended() == 3
    lines = (tmp_path / "log").read_text().splitlines()
    assert lines == ["ready: x", *(f"line {number}" for number in range(9))]
    assert one.last_words.splitlines() == lines[-5:]


async def test_one_that_does_not_start_says_why(child: Callable[..., Child]) -> None:
    with pytest.raises(StartError, match="c1 did not start:\nno keytab"):
        await child(FAILS).start()


async def test_stop_waits_for_the_end(child: Callable[..., Child]) -> None:
    one = child(SERVES)
    await one.start()
    await one.stop()
    assert not runs(one.pid)
    assert await one.ended() == -signal.SIGTERM
    await one.stop()  # a second time does nothing


async def test_one_that_is_deaf_to_sigterm_is_killed(child: Callable[..., Child]) -> None:
    one = child(IS_DEAF)
    await one.start()
    await one.stop(grace=0.0)
    assert await one.ended() == -signal.SIGKILL


async def test_who_waits_for_the_end_may_give_up(child: Callable[..., Child], tmp_path: Path) -> None:
    one = child(SERVES)
    await one.start()
    waiter = asyncio.create_task(one.ended())
    await asyncio.sleep(0)
    waiter.cancel()
    await asyncio.wait({waiter})
    await one.stop()
    assert await one.ended() == -signal.SIGTERM


async def test_it_can_be_started_again(child: Callable[..., Child]) -> None:
    one = child(SERVES)
    await one.start()
    first = one.pid
    await one.stop()
    assert await one.start() == "here"
    assert one.pid != first


async def test_one_that_never_ran_can_be_stopped(child: Callable[..., Child]) -> None:
    one = child(SERVES)
    await one.stop()
    assert repr(one) == "<Child c1 not started>"


async def test_one_that_never_says_that_it_is_ready_did_not_start(child: Callable[..., Child]) -> None:
    one = child(SAYS_NOTHING)
    one.WITHIN = 0.1
    with pytest.raises(StartError, match="c1 did not start"):
        await one.start()
