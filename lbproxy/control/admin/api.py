"""Every route of the admin interface. docs/openapi.yaml and docs/admin-api.md describe them; a test holds all three."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from lbproxy.control.admin import web
from lbproxy.control.admin.connections import Connections, connection_routes
from lbproxy.control.admin.leave import Leaves, leave_routes
from lbproxy.control.admin.log_level import log_level_routes
from lbproxy.control.admin.members import MemberOperations, member_routes
from lbproxy.control.admin.orders import Operations, Wait, order_routes
from lbproxy.control.admin.recent import Recent, recent_routes
from lbproxy.control.admin.reload import reload_route
from lbproxy.control.admin.rollouts import Rollouts, rollout_routes
from lbproxy.control.admin.routes import read_routes
from lbproxy.control.log.level import LogLevel
from lbproxy.control.snapshot import Snapshot

if TYPE_CHECKING:
    from lbproxy.control.metrics.rows import Exemplars


class AllOperations(Operations, MemberOperations, Protocol):
    """What can be done to instances, and to the backends of a pool."""


def api_routes(
    snapshot: Callable[[], Snapshot],
    operations: AllOperations,
    reload: Callable[[], Awaitable[Sequence[str]]],
    leaves: Leaves,
    connections: Connections,
    recent: Recent,
    level: LogLevel,
    rollouts: Rollouts,
    count: Callable[[], Awaitable[object]] | None = None,
    settle: Wait | None = None,
    bare: Callable[[], Snapshot] | None = None,
    exemplars: Callable[[], Exemplars] | None = None,
) -> list[web.Route]:
    """snapshot, count, bare, exemplars: see `read_routes`. reload: see `reload_route`. leaves: see `leave_routes`.

    connections: see `connection_routes`. recent: see `recent_routes`. level: see `log_level_routes`. rollouts: see
    `rollout_routes`. settle: see `order_routes`.
    """
    return [
        *read_routes(snapshot, count, bare, exemplars),
        *order_routes(operations, count, settle),
        *member_routes(operations, count, settle),
        *rollout_routes(rollouts),
        reload_route(reload),
        *leave_routes(leaves, bare or snapshot),
        *connection_routes(connections),
        *recent_routes(recent),
        *log_level_routes(level),
    ]
