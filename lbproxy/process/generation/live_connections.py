"""The client connections of a generation, in whichever process they are; see `control.admin.connections`."""

from __future__ import annotations

import logging
from collections.abc import Collection

from lbproxy.control.live_connections import ConnectionQuery, ConnectionsView, ConnectionView, merged
from lbproxy.control.log import event
from lbproxy.errors import AdminError
from lbproxy.process.ipc.worker_messages import FindConnections, KickConnection
from lbproxy.process.workers.supervisor import WorkerSupervisor
from lbproxy.runtime import live_connections
from lbproxy.runtime.data_path import DataPath

log = logging.getLogger(__name__)


class LiveConnections:
    """Of the data path in this process, or of the workers."""

    def __init__(self, data_path: DataPath | None, supervisor: WorkerSupervisor | None, pools: Collection[str]) -> None:
        """One of the first two is None. pools: their names."""
        self._data_path = data_path
        self._supervisor = supervisor
        self._pools = pools

    def __repr__(self) -> str:
        return f"<live connections of {self._data_path or self._supervisor!r}>"

    async def find(self, query: ConnectionQuery) -> ConnectionsView:
        """See `Connections`."""
        if query.pool and query.pool not in self._pools:
            raise AdminError(f"there is no pool {query.pool}; there is {', '.join(self._pools)}")
        if self._data_path is not None:
            return await live_connections.find(self._data_path, query)
        assert self._supervisor is not None
        found, unanswered = await self._supervisor.ask(lambda number: FindConnections(number, query))
        return merged(found, query, unanswered)

    async def kick(self, identity: str, by: str) -> ConnectionView:
        """See `Connections`."""
        ended, late = await self._kick(identity)
        if ended is None and late:
            event(log, logging.WARNING, "connection_kick_unanswered", id=identity, workers=late, by=by)
            raise AdminError(
                f"workers that have not answered in time: {late}; if one of them has the connection {identity}, it"
                " still ends it: lbproxy connections shows whether it is there"
            )
        if ended is None:
            raise AdminError(
                f"there is no connection {identity}: it may have ended; lbproxy connections shows those there are"
            )
        fields = {"id": identity, "listener": ended["listener"], "client": ended["address"], "user": ended["user"]}
        event(log, logging.INFO, "connection_kicked", **fields, phase=ended["phase"], by=by)
        return ended

    async def _kick(self, identity: str) -> tuple[ConnectionView | None, int]:
        """The connection as it was, if it was there, and how many workers have not answered."""
        if self._data_path is not None:
            return await live_connections.kick(self._data_path, identity), 0
        assert self._supervisor is not None
        found, late = await self._supervisor.ask(lambda number: KickConnection(number, identity))
        return next((one for view in found for one in view["connections"]), None), late
