"""What kills instances."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

from .balancer import Balancer
from .instance import Instance


class Reaper:
    """Kills the instances of a fleet in turn, each after the one before serves again: all but one are always alive."""

    def __init__(self, balancer: Balancer, fleet: Sequence[Instance]) -> None:
        self._balancer = balancer
        self._turns = cycle(fleet)
        self._deaths = dict.fromkeys(fleet, 0)

    async def strike(self) -> None:
        """SIGKILL the next one, start it when the balancer has noticed, and return when it is in rotation again."""
        instance = next(self._turns)
        self._deaths[instance] += 1
        deaths = self._deaths[instance]
        await instance.kill()
        await self._balancer.logged("backend_ejected", f"backend={instance.name} ", count=deaths)
        await instance.start()
        await self._balancer.logged("backend_readmitted", f"backend={instance.name} ", count=deaths + 1)  # 1 at start
