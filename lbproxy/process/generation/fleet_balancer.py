"""This balancer, as its fleet sees it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from lbproxy.runtime.pool_control import PoolControl
from lbproxy.status.served import Served


class FleetBalancer:
    """`control.fleet.fleet.Balancer`, for the pools of `pool_controls`, which are by their names."""

    def __init__(self, pool_controls: Mapping[str, PoolControl], served: Served) -> None:
        self._pool_controls = pool_controls
        self._served = served

    def __repr__(self) -> str:
        return f"<balancer of {' '.join(self._pool_controls)} for its fleet>"

    def state(self) -> str:
        """See `Balancer`."""
        return self._served.shown

    def backends(self) -> dict[str, dict[str, int]]:
        """See `Balancer`. One that is drained counts as draining, whatever its health is."""
        return {
            name: dict(Counter("draining" if one.draining else one.state.value for one in control.pool.backends))
            for name, control in self._pool_controls.items()
        }
