"""The admin API of the balancer, asked over its socket: all that the dashboard shows and does goes through it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import aiohttp

from lbproxy.control.admin.peer import ON_BEHALF
from lbproxy.control.admin.recent import HistoryView
from lbproxy.control.admin.sockets import Bind
from lbproxy.control.live_connections import ConnectionsView
from lbproxy.control.log.recent import EventsView
from lbproxy.control.snapshot import InstanceView, Snapshot
from lbproxy.errors import AdminError

_TIMEOUT = 10.0
"""Seconds for an answer."""

_RELOAD_TIMEOUT = 150.0
"""And for that of a reload, whose probes may all time out."""


class Balancer:
    """The balancer whose admin interface is at `bind`. Everything raises AdminError.

    by: who orders something; "" is the account of this process.
    """

    def __init__(self, bind: Bind) -> None:
        """Call it on the running loop."""
        self._bind = bind
        connector = aiohttp.UnixConnector(str(bind)) if isinstance(bind, Path) else None
        self._base = "http://localhost" if isinstance(bind, Path) else f"http://{_authority(*bind)}"
        self._session = aiohttp.ClientSession(connector=connector)

    def __repr__(self) -> str:
        return f"<balancer at {self._bind}>"

    async def close(self) -> None:
        """Ask no more."""
        await self._session.close()

    async def status(self) -> Snapshot:
        """Everything, now."""
        return cast(Snapshot, await self._ask("GET", "/status"))

    async def events(self, after: int = 0, wait: int = 0) -> EventsView:
        """Those after the number `after`, as soon as there is one, or after `wait` seconds."""
        return cast(EventsView, await self._ask("GET", f"/events?after={after}&wait={wait}", within=wait + _TIMEOUT))

    async def history(self) -> HistoryView:
        """The last hour."""
        return cast(HistoryView, await self._ask("GET", "/history"))

    async def connections(self, asked: Mapping[str, str]) -> ConnectionsView:
        """Those that `asked` wants: the parameters of the request."""
        return cast(ConnectionsView, await self._ask("GET", "/connections", params=asked))

    async def drain(self, pool: str, name: str, force: bool, by: str) -> InstanceView:
        """No new work for POOL/NAME; force: even if it is the last one."""
        path = f"{_backend(pool, name)}/drain{'?force=true' if force else ''}"
        return cast(InstanceView, await self._ask("POST", path, by))

    async def ready(self, pool: str, name: str, by: str) -> InstanceView | None:
        """End a drain."""
        return cast(InstanceView | None, await self._ask("POST", f"{_backend(pool, name)}/ready", by))

    async def weigh(self, pool: str, name: str, weight: int, force: bool, by: str) -> InstanceView | None:
        """Order its weight."""
        path = f"{_backend(pool, name)}{'?force=true' if force else ''}"
        return cast(InstanceView | None, await self._ask("PATCH", path, by, body={"weight": weight}))

    async def reload(self, by: str) -> None:
        """Have the configuration read again; returns once it is served."""
        await self._ask("POST", "/reload", by, within=_RELOAD_TIMEOUT)

    async def cancel_rollout(self, pool: str, by: str) -> None:
        """Have the rollout of the pool stop."""
        await self._ask("DELETE", f"/rollouts/{quote(pool, safe='')}", by)

    async def kick(self, identity: str, by: str) -> None:
        """End a client connection."""
        await self._ask("DELETE", f"/connections/{quote(identity, safe='')}", by)

    async def _ask(
        self,
        method: str,
        path: str,
        by: str = "",
        within: float = _TIMEOUT,
        params: Mapping[str, str] | None = None,
        body: object = None,
    ) -> Any:
        """The JSON of the answer, None if it has none."""
        try:
            async with self._session.request(
                method,
                f"{self._base}{path}",
                headers={ON_BEHALF: by} if by else None,
                params=params,
                json=body,
                timeout=aiohttp.ClientTimeout(within),
            ) as answer:
                if answer.status == 200:
                    return await answer.json()
                if answer.status == 204:
                    return None
                raise AdminError((await answer.text()).strip() or f"the balancer answers {answer.status}")
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            raise AdminError(f"the balancer does not answer: {error or type(error).__name__}") from None


def _backend(pool: str, name: str) -> str:
    return f"/backends/{quote(pool, safe='')}/{quote(name, safe='')}"


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
