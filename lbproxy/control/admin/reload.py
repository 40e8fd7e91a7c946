"""POST /reload: as HUP, and 200 once the new configuration is served, or 409 with every reason why it is not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from lbproxy.control.admin import web


def reload_route(reload: Callable[[], Awaitable[Sequence[str]]]) -> web.Route:
    """reload: returns the problems, none if all went well."""

    async def answer(_: web.Request) -> web.Response:
        problems = await reload()
        if problems:
            return web.Response(status=409, text="".join(f"{problem}\n" for problem in problems))
        return web.json_response({})

    return web.post("/reload", answer)
