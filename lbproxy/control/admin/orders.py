"""What can be done to an instance over the admin interface, and how it is after that.

    GET  /backends/NAME          how it is
    POST /backends/NAME/drain    no new work for it; ?force=true even if it is the last one of a pool in rotation
    POST /backends/NAME/ready    in rotation again, if it is healthy

NAME is an instance: the backends of that name in all pools. POOL/NAME is one of them. Each is answered with an
`InstanceView` as JSON, or with 409 and one sentence that says why not. 204 answers an order that was taken back for a
name that has no backend now.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Protocol

from lbproxy.control.admin import web
from lbproxy.control.admin.peer import peer
from lbproxy.control.snapshot import InstanceView
from lbproxy.errors import AdminError


class Operations(Protocol):
    """Whoever can do it. Each takes NAME or POOL/NAME, returns the instance as it is now, and raises AdminError.

    by: the account that orders it.
    """

    def show(self, name: str) -> InstanceView:
        """Change nothing."""
        ...

    def drain(self, name: str, force: bool, by: str) -> InstanceView:
        """Give it no new work; what it has may finish.

        Refused without `force` if it is the only one in rotation in one of its pools; then nothing is changed.
        """
        ...

    def ready(self, name: str, by: str) -> InstanceView | None:
        """End a drain, also one that waits for a backend of this name. None: there is no backend of this name."""
        ...


Wait = Callable[[], Awaitable[object]]
"""Awaited after an order, and before it is answered."""


def answered(found: InstanceView | None) -> web.Response:
    """The answer to an order: how the instance is then, or 204 where there is no backend."""
    return web.Response(status=204) if found is None else web.json_response(found)


async def _after(
    found: InstanceView | None, show: Callable[[], InstanceView], waits: Iterable[Wait | None]
) -> InstanceView | None:
    """How it is after the order. It may have left meanwhile: the order was carried out all the same."""
    for wait in filter(None, waits):
        await wait()
        with suppress(AdminError):
            found = None if found is None else show()
    return found


def order_routes(operations: Operations, count: Wait | None = None, settle: Wait | None = None) -> list[web.Route]:
    """The routes above; `operations` is called on the event loop.

    count: see `read_routes`. What it counts is no older than the order: nothing that began before is missing.
    settle: waits until the fleet has what was ordered, or cannot be reached.
    """

    async def answer(
        request: web.Request, order: Callable[[str], InstanceView | None], *waits: Wait | None
    ) -> web.Response:
        name = "/".join(request.match_info[part] for part in ("pool", "name") if part in request.match_info)
        return answered(await _after(order(name), lambda: operations.show(name), waits))

    async def show(request: web.Request) -> web.Response:
        return await answer(request, operations.show, count)

    async def drain(request: web.Request) -> web.Response:
        force, by = request.query.get("force") == "true", await peer(request)
        return await answer(request, lambda name: operations.drain(name, force, by), settle, count)

    async def ready(request: web.Request) -> web.Response:
        by = await peer(request)
        return await answer(request, lambda name: operations.ready(name, by), settle, count)

    return [
        route
        for backend in ("/backends/{name}", "/backends/{pool}/{name}")
        for route in (
            web.post(f"{backend}/drain", drain),
            web.post(f"{backend}/ready", ready),
            web.get(backend, show),
        )
    ]
