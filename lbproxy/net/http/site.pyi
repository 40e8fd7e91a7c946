from collections.abc import Callable

from lbproxy.balance.round_robin import RoundRobin
from lbproxy.net.http.request_ids import IdSource
from lbproxy.wire.fields import FieldTable
from lbproxy.wire.request_heads import Forwarding, RequestHead
from lbproxy.wire.response_heads import ResponseHead

class Site:
    header_timeout: float
    idle_timeout: float
    response_timeout: float
    logs: bool
    draining: bool
    requests: int
    on_fast_path: int
    seconds: float
    def __init__(
        self,
        request: RequestHead,
        response: ResponseHead,
        request_trailers: FieldTable,
        response_trailers: FieldTable,
        forwarding: Forwarding,
        round_robin: RoundRobin | None = ...,
        *,
        host_served: Callable[[bytes], bool],
        denied_paths: tuple[bytes, ...],
        path_denied: Callable[[bytes], bool],
        header_timeout: float,
        idle_timeout: float,
        response_timeout: float,
        logs: bool,
        slow_after: float = ...,
        retry_statuses: frozenset[int] = ...,
        ids: IdSource | None = ...,
    ) -> None: ...
    def histogram(self) -> list[tuple[float, int]]: ...
    @property
    def observed(self) -> int: ...
