"""The generation's end of the channel to the master; the test is the master."""

from __future__ import annotations

import asyncio

from lbproxy.process.generation.master_channel import MasterChannel
from lbproxy.process.ipc.channel import Message
from tests.net.peers import until
from tests.process.conftest import Pair


async def test_orders_are_carried_out_and_messages_sent(pair: Pair) -> None:
    ours, master = pair()
    heard: list[Message] = []
    lost = asyncio.Event()
    master_channel = MasterChannel(ours, {"drain": heard.append}, lost.set)
    master.send({"type": "drain"})
    await until(lambda: heard)
    master_channel.tell("ready")
    master_channel.relay("tally", tally={})
    assert master.wait().message == {"type": "ready"}
    assert master.wait().message == {"type": "relay", "message": {"type": "tally", "tally": {}}}
    master.close()
    await lost.wait()
    master_channel.close()


async def test_a_reload_is_answered_to_who_asked(pair: Pair) -> None:
    ours, master = pair()
    master_channel = MasterChannel(ours, {}, lambda: None)
    good, bad, gone = (asyncio.ensure_future(master_channel.reload()) for _ in range(3))
    await asyncio.sleep(0)
    gone.cancel()
    tickets = [master.wait().message["ticket"] for _ in range(3)]
    for ticket, problems in zip(tickets, ([], ["a fault"], []), strict=True):
        master.send({"type": "reloaded", "ticket": ticket, "problems": problems})
    assert await good == []
    assert await bad == ["a fault"]
    master_channel.close()
