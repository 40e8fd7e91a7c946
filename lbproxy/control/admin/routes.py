"""What can be read over the admin interface."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from lbproxy.control.admin import web
from lbproxy.control.admin.readiness import readiness
from lbproxy.control.snapshot import Snapshot

if TYPE_CHECKING:
    from lbproxy.control.metrics.rows import Exemplars


def read_routes(
    snapshot: Callable[[], Snapshot],
    count: Callable[[], Awaitable[object]] | None = None,
    bare: Callable[[], Snapshot] | None = None,
    exemplars: Callable[[], Exemplars] | None = None,
) -> list[web.Route]:
    """GET (and HEAD) routes that show what `snapshot` returns; it is called once a request, on the event loop.

    count: awaited before an answer with counters, where other processes count. bare: the same as snapshot without what
    is recent, for the routes that do not show that; None: they call `snapshot` too. exemplars: those of the
    metrics, for OpenMetrics.
    """
    bare = bare or snapshot

    async def status(_: web.Request) -> web.Response:
        if count is not None:
            await count()
        return web.json_response(snapshot())

    return [web.get("/status", status), *metrics_routes(bare, count, exemplars), *health_routes(bare)]


def metrics_routes(
    snapshot: Callable[[], Snapshot],
    count: Callable[[], Awaitable[object]] | None = None,
    exemplars: Callable[[], Exemplars] | None = None,
) -> list[web.Route]:
    """What Prometheus asks. Arguments: see `read_routes`."""

    async def scrape(request: web.Request) -> web.Response:
        if count is not None:
            await count()
        # In a thread: with a thousand backends it takes long enough for users to notice.
        some = {} if exemplars is None else exemplars()
        body, content_type = await asyncio.to_thread(_render, snapshot(), request.headers.get("accept", ""), some)
        return web.Response(body=body, content_type=content_type)

    return [web.get("/metrics", scrape)]


def health_routes(snapshot: Callable[[], Snapshot]) -> list[web.Route]:
    """What orchestrators ask: `/healthz`, whether to restart it, and `/readyz`, whether to send it traffic."""

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")  # that the loop came to answer is all there is to know

    async def readyz(_: web.Request) -> web.Response:
        ready, sentence = readiness(snapshot())
        return web.Response(status=200 if ready else 503, text=f"{sentence}\n")

    return [web.get("/healthz", healthz), web.get("/readyz", readyz)]


def _render(snapshot: Snapshot, accept: str, exemplars: Exemplars) -> tuple[bytes, str]:
    from lbproxy.control.metrics.exposition import render  # only if it is scraped: it takes 3 MB

    return render(snapshot, accept, exemplars)
