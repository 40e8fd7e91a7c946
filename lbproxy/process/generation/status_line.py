"""How lbproxy is, in one line: what a service manager shows (`systemctl status`)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

from lbproxy.balance.backend import Backend
from lbproxy.balance.feed import Observer
from lbproxy.balance.health import Change
from lbproxy.balance.pool import Pool
from lbproxy.reasons import Reason


def in_rotation(pools: Collection[Pool]) -> str:
    """How many backends are in rotation, as in "3 of 6 backends in rotation, 1 standby waits, none in pool raw"."""
    inside = sum(len(pool.rotation) for pool in pools)
    total = sum(pool.size for pool in pools)
    dead = [pool.name for pool in pools if not pool.rotation] if inside else []
    waiting = sum(pool.waiting for pool in pools)
    standbys = f", {waiting} standby{' waits' if waiting == 1 else 's wait'}" if waiting else ""
    return f"{inside} of {total} backends in rotation{standbys}{', none in pool ' if dead else ''}{', '.join(dead)}"


class StatusLine(Observer):
    """Calls `tell` with the line, each time that it is another one."""

    def __init__(self, pools: Collection[Pool], tell: Callable[[str], None], remark: Callable[[], str]) -> None:
        """Belongs to the running loop. remark: how the last reload went, to be said behind the rest."""
        self._loop = asyncio.get_running_loop()
        self._pools = pools
        self._tell = tell
        self._remark = remark
        self._serving = self._due = False
        self.text = ""
        for pool in pools:
            pool.observers.append(self)

    def __repr__(self) -> str:
        return f"<status_line {self.text!r}>"

    def serve(self) -> None:
        """From now on it says how many backends are in rotation."""
        self._serving = True
        self.update()

    def update(self) -> None:
        """What it says may have changed."""
        self._due = False
        if self._serving:
            self._say(f"serving, {in_rotation(self._pools)}{self._remark()}")

    def drain(self, connections: int) -> None:
        """From now on it says how many client connections are still open."""
        self._serving = False
        self._say(f"draining, client connections open: {connections}")

    def joined(self, pool: Pool, backend: Backend) -> None:
        """See `Observer`."""
        self._update_soon()

    def left(self, pool: Pool, backend: Backend) -> None:
        """See `Observer`."""
        self._update_soon()

    def changed(self, pool: Pool, backend: Backend, change: Change | None, reason: Reason | None, detail: str) -> None:
        """See `Observer`."""
        self._update_soon()

    def _update_soon(self) -> None:
        if self._serving and not self._due:
            self._due = True
            self._loop.call_soon(self.update)

    def _say(self, text: str) -> None:
        if text != self.text:
            self.text = text
            self._tell(text)
