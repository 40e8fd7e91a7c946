"""How lbproxy is, in one line: what a service manager shows (`systemctl status`)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

from lbproxy.balance.backend import Backend
from lbproxy.balance.pool import Pool


class StatusLine:
    """Calls `tell` with the line, each time that it is another one."""

    def __init__(self, pools: Collection[Pool], tell: Callable[[str], None]) -> None:
        """Belongs to the running loop."""
        self._loop = asyncio.get_running_loop()
        self._pools = pools
        self._tell = tell
        self._serving = self._due = False
        self.text = ""
        for pool in pools:
            pool.on_place.append(self._moved)

    def __repr__(self) -> str:
        return f"<status_line {self.text!r}>"

    def serve(self) -> None:
        """From now on it says how many backends are in rotation."""
        self._serving = True
        self._count()

    def drain(self, connections: int) -> None:
        """From now on it says how many client connections are still open."""
        self._serving = False
        self._say(f"draining, client connections open: {connections}")

    def _moved(self, _: Backend) -> None:
        """The rotation is about to change."""
        if self._serving and not self._due:
            self._due = True
            self._loop.call_soon(self._count)

    def _count(self) -> None:
        self._due = False
        if self._serving:
            inside = sum(len(pool.rotation) for pool in self._pools)
            total = sum(len(pool.backends) for pool in self._pools)
            self._say(f"serving, {inside} of {total} backends in rotation")

    def _say(self, text: str) -> None:
        if text != self.text:
            self.text = text
            self._tell(text)
