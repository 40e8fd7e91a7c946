"""The model of one process: pools with their members, and mints. Nothing in it moves bytes.

A data path has one (`data_path`). Where the workers are the data path, the generation has the model alone.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from lbproxy.auth.mint import Mint
from lbproxy.config import Config
from lbproxy.runtime.build_pools import Refuse, build_pool
from lbproxy.runtime.loop_lag import LoopLag
from lbproxy.runtime.probe_certificate import make_mint

TICK = 0.1
"""Seconds between two looks at the time; timeouts are that coarse."""


class Model:
    """`pools` by name, and `mints` by the name of their listener. `lag` is how late the loop is.

    The callables in `on_tick` get the time (monotonic seconds) ten times a second, before the pools do.
    """

    def __init__(self, config: Config, refuse: Refuse) -> None:
        """refuse: why a member may not join a pool, besides what `build_pool` knows.

        Call it on the running loop. Raises StartError when the CA of a mint cannot be used.
        """
        self._loop = asyncio.get_running_loop()
        self.pools = {name: build_pool(name, options, config, refuse) for name, options in config.pools.items()}
        self.mints = _mints(config)
        self.lag = LoopLag()
        self.on_tick: list[Callable[[float], None]] = []
        self._due: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<model of {' '.join(self.pools)}>"

    def keep_time(self) -> None:
        """Look at the time from now on."""
        if self._timer is None:
            self._tick()

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _tick(self) -> None:
        self._timer = self._loop.call_later(TICK, self._tick)
        now = time.monotonic()
        if self._due is not None:
            self.lag.observe(now - self._due, now)
        self._due = now + TICK
        for tick in self.on_tick:
            tick(now)
        for pool in self.pools.values():
            pool.tick(now)


def _mints(config: Config) -> dict[str, Mint]:
    return {
        name: make_mint(name, listener.tls.minting)
        for name, listener in config.listeners.items()
        if listener.tls is not None and listener.tls.minting is not None
    }
