"""Backends that come, change and go over the admin interface.

    PUT    /backends/POOL/NAME   add it: {"url": ..., "weight": 1, "standby": false}
    PATCH  /backends/POOL/NAME   order its weight or standby; null is as its source says. ?force=true as below
    DELETE /backends/POOL/NAME   take out what was added; ?force=true even if it is the last one in rotation

Each is answered with an `InstanceView` as JSON: how it is then, or for DELETE how it was last. 204 answers where only
orders are left of a name: PATCH changes them, and DELETE ends them. A body that is not as it has to be gets 400, and
what the balancer refuses gets 409, each with a sentence. docs/openapi.yaml has all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Protocol

from pydantic import BaseModel, BeforeValidator, ConfigDict

from lbproxy.control.admin import body, web
from lbproxy.control.admin.orders import Wait, answered
from lbproxy.control.admin.peer import peer
from lbproxy.control.snapshot import InstanceView


def _whole(value: object) -> object:
    """JSON has numbers only: 3.0 is the whole number 3 (JSON Schema 2020-12, section 4.2.3)."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


_Whole = Annotated[int, BeforeValidator(_whole)]


class _Body(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class Added(_Body):
    """What is put."""

    url: str
    weight: _Whole = 1
    standby: bool = False


class Changed(_Body):
    """What is patched; what is absent stays."""

    weight: _Whole | None = None
    standby: bool | None = None


class MemberOperations(Protocol):
    """Whoever can do it. Each names the backend by pool and name, and says on whose behalf; AdminError says why not."""

    def add(self, pool: str, name: str, url: str, weight: int, standby: bool, by: str) -> InstanceView:
        """Make it a backend of the pool."""
        ...

    def change(
        self, pool: str, name: str, given: Mapping[str, int | bool | None], force: bool, by: str
    ) -> InstanceView | None:
        """Order its `weight` or `standby`, whichever is given; None is as its source says.

        Refused without `force` if it would get no more turns, and is the only one in rotation. Returns None if orders
        for this name wait for a backend: they are changed.
        """
        ...

    def remove(self, pool: str, name: str, force: bool, by: str) -> InstanceView | None:
        """Take it out of the pool; what it has may finish. Refused without `force` if it is the only one in rotation.

        Returns how it was last, and None if orders for this name waited for a backend: they have ended.
        """
        ...

    def shared(self, found: InstanceView) -> InstanceView:
        """The same, with what the fleet makes of its orders now."""
        ...


def member_routes(
    operations: MemberOperations, count: Wait | None = None, settle: Wait | None = None
) -> list[web.Route]:
    """The routes above; `operations` is called on the event loop.

    count: see `read_routes`. The counting processes know the order before it is answered. settle: see `order_routes`.
    """

    async def answer(request: web.Request, order: Callable[[str, str], InstanceView | None]) -> web.Response:
        found = order(request.match_info["pool"], request.match_info["name"])
        for wait in filter(None, (settle, count)):
            await wait()
        return answered(None if found is None else operations.shared(found))

    async def put(request: web.Request) -> web.Response:
        given = body.read(request, Added)
        by = await peer(request)
        return await answer(
            request, lambda pool, name: operations.add(pool, name, given.url, given.weight, given.standby, by)
        )

    async def patch(request: web.Request) -> web.Response:
        given = body.read(request, Changed).model_dump(exclude_unset=True)
        by = await peer(request)
        return await answer(request, lambda pool, name: operations.change(pool, name, given, _forced(request), by))

    async def delete(request: web.Request) -> web.Response:
        by = await peer(request)
        return await answer(request, lambda pool, name: operations.remove(pool, name, _forced(request), by))

    path = "/backends/{pool}/{name}"
    return [web.put(path, put), web.patch(path, patch), web.delete(path, delete)]


def _forced(request: web.Request) -> bool:
    return request.query.get("force") == "true"
