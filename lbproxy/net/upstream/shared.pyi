from typing import Any

from lbproxy.balance.backend import Backend
from lbproxy.net.transport.poller import Handler
from lbproxy.net.transport.stream import Stream
from lbproxy.reasons import Reason

class LanesCore:
    idle: list[Any]
    idle_timeout: float
    private: int
    tunnels: int
    ends: dict[str, int]

class LaneCore(Handler):
    stream: Stream
    lanes: Any
    backend: Backend
    owner: Any
    waiter: Any
    served: int
    closed: bool
    tunnel: bool
    opened_at: float
    connected_at: float
    ready_at: float
    def __init__(
        self, lanes: LanesCore, backend: Backend, waiter: object, stream: Stream, header: bytes = ...
    ) -> None: ...
    @property
    def private(self) -> bool: ...
    def claim(self, owner: object) -> None: ...
    def begin(self, tries: int) -> bool: ...
    def join(self) -> None: ...
    def is_ready(self) -> None: ...
    def close(self, reason: Reason | None) -> None: ...
    def closing(self) -> None: ...
    def rest(self) -> None: ...
    def count_bytes(self) -> None: ...
