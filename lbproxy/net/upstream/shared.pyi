from typing import Any

from lbproxy.balance.backend import Backend
from lbproxy.net.transport.poller import Handler
from lbproxy.net.transport.stream import Stream

class LanesCore:
    idle: list[Any]
    idle_timeout: float

class LaneCore(Handler):
    stream: Stream
    lanes: LanesCore
    backend: Backend
    owner: Any
    served: int
    closed: bool
    def rest(self) -> None: ...
    def count_bytes(self) -> None: ...
