"""What the control plane asks of whatever serves the clients."""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

from lbproxy.balance.backend import Backend
from lbproxy.balance.pool import Pool


class ServesClients(Protocol):
    """What serves the clients: the data path in this process, or the supervisor of the workers."""

    @property
    def connections(self) -> int: ...

    def start(self) -> None: ...

    def seal(self, secrets: Sequence[bytes]) -> None: ...

    def hold(self, names: Iterable[str]) -> None: ...

    def release(self, gone: Collection[str]) -> None: ...

    def retire(self) -> None: ...

    async def emptied(self, within: float | None = None) -> bool: ...

    async def drain(self, within: float | None = None) -> bool: ...

    def resolved(self, pool: Pool, backend: Backend, family: socket.AddressFamily, address: tuple[object, ...]) -> None:
        """`backend` has this address."""
