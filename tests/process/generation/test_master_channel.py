"""The generation's end of the channel to the master; the test is the master."""

from __future__ import annotations

import asyncio

from lbproxy.control.log.logged_event import LoggedEvent
from lbproxy.process.generation.master_channel import MasterChannel
from lbproxy.process.ipc.master_messages import (
    WITH_MASTER,
    Drain,
    Ready,
    Relay,
    Reload,
    Reloaded,
    Tally,
    ToGeneration,
)
from tests.net.peers import until
from tests.process.conftest import Pair


async def test_orders_are_carried_out_and_messages_sent(pair: Pair) -> None:
    ours, master = pair(WITH_MASTER)
    heard: list[ToGeneration] = []
    lost = asyncio.Event()
    master_channel = MasterChannel(ours, heard.append, lost.set)
    master.send(Drain())
    await until(lambda: heard == [Drain()])
    master_channel.send(Ready())
    master_channel.relay(Tally({}))
    assert master.wait().message == Ready()
    assert master.wait().message == Relay({"type": "tally", "tally": {}, "orders": None})
    master.close()
    await lost.wait()
    master_channel.close()


async def test_what_was_logged_is_relayed_unless_the_master_is_behind(pair: Pair) -> None:
    ours, master = pair(WITH_MASTER)
    master_channel = MasterChannel(ours, lambda _: None, lambda: None)
    assert master_channel.relay_events([LoggedEvent(1.0, "INFO", "said", {"a": "b"}, "generation 1")])
    relayed = master.wait().message
    assert isinstance(relayed, Relay)
    [told] = relayed.message["events"]
    assert told == [1.0, "INFO", "said", {"a": "b"}, "generation 1"]
    while master_channel.relay_events([LoggedEvent(1.0, "INFO", "said", {"text": "x" * 10_000}, "generation 1")]):
        pass
    assert len(master.receive()) > 1
    master_channel.close()


async def test_a_reload_is_answered_to_who_asked(pair: Pair) -> None:
    ours, master = pair(WITH_MASTER)
    master_channel = MasterChannel(ours, lambda _: None, lambda: None)
    good, bad, gone = (asyncio.ensure_future(master_channel.reload()) for _ in range(3))
    await asyncio.sleep(0)
    gone.cancel()
    asked = [master.wait().message for _ in range(3)]
    for reload, problems in zip(asked, ([], ["a fault"], []), strict=True):
        assert isinstance(reload, Reload)
        master.send(Reloaded(reload.ticket, problems))
    assert await good == []
    assert await bad == ["a fault"]
    master_channel.close()
