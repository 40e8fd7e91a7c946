"""A balancer in front of three backends, for many cases one after the other."""

from __future__ import annotations

import re
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..balancer import Balancer, running
from ..client import Client, request
from ..configuration import configuration
from .case import PATH, Case
from .member import Member
from .rows import Charge, Connect

NAMES = ("c1", "c2", "c3")
_EVENT = re.compile(r" backend_(?:ejected|suspected) .* backend=(\w+) reason=(?!response_slow)(\w+)")
"""What is held against a backend; that it was slow may be a busy machine's doing."""


@dataclass
class Stage:
    """`first` has the turn when a case begins, then the second; the third is never reached."""

    balancer: Balancer
    members: list[Member]
    played: list[Case] = field(default_factory=list)

    @property
    def first(self) -> Member:
        return self.members[0]

    @property
    def port(self) -> int:
        return self.balancer.address[1]

    # --- before a case

    async def set(self, case: Case, client: Client) -> None:
        """Everybody is in rotation, in order, with or without a lane; the first that gets the case's request fails."""
        await self.line_up(*NAMES)
        # A backend that drains, as in `line_up`, may just be rid of its lane.
        while case.lane == "reused" and not await self._have_lanes():
            for member in self.members[:2]:
                # With a token a lane is the client's own, and so are those of all its later requests with one.
                await client.send(request("/before", "GET", *([case.ask.line] if case.ask.has_token else [])))
                assert (await client.response()).body == member.name.encode()
            await self.line_up(*NAMES)
        for member in self.members:
            member.begin(case if member is self.first else None)
        self.played.append(case)

    async def line_up(self, *names: str) -> None:
        """Give them their turns in this order: whoever comes back into rotation is its last."""
        for name in names:
            for what in ("drain", "ready"):
                assert (await self.balancer.admin(f"/backends/{name}/{what}", "POST")).status == 200

    async def _have_lanes(self) -> bool:
        backends = await self.balancer.backends()
        return all(backends[name]["idle_lanes"] + backends[name]["private_lanes"] for name in NAMES[:2])

    @asynccontextmanager
    async def connecting(self, connect: Connect) -> AsyncIterator[None]:
        """What the first does to new connections; it has lost those that it had, unless it accepts."""
        if connect is Connect.ACCEPTED:
            yield
            return
        await self.first.stop()
        with ExitStack() as stack:
            if connect is Connect.IGNORED:
                _fill_queue(stack, self.first.port)
            yield
        await self.first.start()

    # --- in the middle of one

    async def eject_first(self) -> None:
        """Another user's request finds that it refuses connections, and is served by the third."""
        self.first.refuse()
        await self.line_up("c1", "c3", "c2")
        assert (await self.balancer.ask("/meanwhile")).body == b"c3"

    # --- in the end

    def got(self) -> list[list[tuple[bytes, bytes]]]:
        """What each got of the case: heads as they were, and bodies."""
        return [
            [(seen.raw, seen.body) for seen in member.requests if seen.target.startswith(PATH.encode())]
            for member in self.members
        ]

    async def health(self) -> dict[str, Any]:
        """What is known of the first."""
        return (await self.balancer.backends())["c1"]

    async def settle(self) -> None:
        """Nothing is left of the case: no client, lane or ejection."""
        for member in self.members:
            await member.end()
        await self.balancer.until(self._is_idle)
        for member in self.members:
            member.check()

    def _is_idle(self, status: dict[str, Any]) -> bool:
        members = status["pools"][0]["backends"]
        lanes = sum(member["idle_lanes"] + member["private_lanes"] + member["active"] for member in members)
        lanes += sum(len(member.open_lanes) for member in self.members)
        return not lanes and not status["listeners"][0]["connections"] and all(each["in_rotation"] for each in members)

    def check_logs(self) -> None:
        """Once the balancer has ended: it told of each case what it had to, and of the first backend nothing else."""
        records = {
            record["target"]: (record["reason"], record["backend"], record["tries"]) for record in self.balancer.access
        }
        assert [(str(case), records.get(case.target)) for case in self.played] == [
            (str(case), case.record) for case in self.played
        ]
        told = {match.groups() for line in self.balancer.log if (match := _EVENT.search(line))}
        charged = [case.row for case in self.played if case.row.charge in (Charge.PROBE, Charge.EJECTED)]
        assert told == {("c1", row.reason) for row in charged}, told


def _fill_queue(stack: ExitStack, port: int) -> None:
    """Listen on `port` with a queue that is full, so that the kernel answers no further connect."""
    listener = stack.enter_context(socket.create_server(("127.0.0.1", port), backlog=0))
    for _ in range(2):
        waiting = stack.enter_context(socket.socket())
        waiting.setblocking(False)
        waiting.connect_ex(listener.getsockname())


@asynccontextmanager
async def stage(**pool: Any) -> AsyncIterator[Stage]:
    """One, for a pool with these keys."""
    async with AsyncExitStack() as stack:
        members = [Member(name) for name in NAMES]
        for member in members:
            await member.start()
            stack.push_async_callback(member.stop)
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lbp-")))
        config = configuration(directory, [(member.name, member.url) for member in members], pool=pool, request_id="")
        made = Stage(await stack.enter_async_context(running(config, directory)), members)
        yield made
    if made.played:
        made.check_logs()
