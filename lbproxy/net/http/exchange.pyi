from collections.abc import Callable
from enum import IntEnum
from typing import Protocol

from lbproxy.balance.round_robin import RoundRobin
from lbproxy.net.transport.stream import Handler, Stream
from lbproxy.net.upstream.lane import Lane
from lbproxy.reasons import Reason
from lbproxy.wire.fields import FieldTable
from lbproxy.wire.request_heads import Forwarding, RequestHead
from lbproxy.wire.response_heads import ResponseHead

class Phase(IntEnum):
    IDLE = 0
    WAITING = 1
    SENT = 2
    ANSWERING = 3
    UPLOADING = 4
    ENDED = 5

def moves() -> dict[str, list[str]]: ...

class Policy(Protocol):
    def route(self, exchange: Exchange) -> None: ...
    def slow(self, exchange: Exchange) -> None: ...
    def asks_again(self, exchange: Exchange, status: int) -> bool: ...
    def answering(self, exchange: Exchange, head: ResponseHead) -> None: ...
    def lane_failed(self, exchange: Exchange, link: Stream, reason: Reason) -> None: ...
    def tunnel_opened(self, exchange: Exchange, link: Stream, early: bytes) -> None: ...
    def finished(self, exchange: Exchange, link: Stream | None, reusable: bool, reason: Reason) -> None: ...
    def hang_up(self, exchange: Exchange, gently: bool) -> None: ...
    def ended(self, exchange: Exchange, reason: Reason | None) -> None: ...
    def refusal(self, exchange: Exchange, reason: Reason, keep: bool) -> bytes: ...
    def rewrite_location(self, value: bytes) -> bytes: ...
    def log(self, exchange: Exchange, reason: Reason) -> None: ...

class Site:
    header_timeout: float
    idle_timeout: float
    response_timeout: float
    logs: bool
    draining: bool
    requests: int
    plain: int
    seconds: float
    def __init__(
        self,
        request: RequestHead,
        response: ResponseHead,
        request_trailers: FieldTable,
        response_trailers: FieldTable,
        forwarding: Forwarding,
        turns: RoundRobin | None = ...,
        *,
        host_served: Callable[[bytes], bool],
        denied_paths: tuple[bytes, ...],
        path_denied: Callable[[bytes], bool],
        header_timeout: float,
        idle_timeout: float,
        response_timeout: float,
        logs: bool,
        suspicion: float = ...,
        retry_statuses: frozenset[int] = ...,
    ) -> None: ...
    def histogram(self) -> list[tuple[float, int]]: ...
    @property
    def observed(self) -> int: ...

class Exchange(Handler):
    client: Stream
    link: Stream | None
    phase: Phase
    watch: bool
    asks_nobody: bool
    lane: Lane | None
    served_by: Lane | None
    tries: int
    closes: bool
    method: bytes
    target: bytes
    host: bytes
    user_agent: bytes
    authorization: bytes | None
    status: int
    head_size: int
    bytes_in: int
    bytes_out: int
    body_sent: int
    has_body: bool
    idempotent: bool
    body_kept: bool
    started: float
    sent: float
    first_byte: float
    ended: float
    def __init__(self, site: Site, client: Stream, policy: Policy, address: bytes, trusted: bool) -> None: ...
    def summary(self) -> tuple[str, str, str, str, int, int, int, str, float, float, float]: ...
    def identify(self, server_name: str | None, identity: bytes) -> None: ...
    def serve(self) -> None: ...
    def next_request(self) -> None: ...
    def keep_body(self, limit: int) -> None: ...
    def untouched(self) -> bool: ...
    def move(self, reason: Reason) -> None: ...
    def run(self, link: Stream, fresh: bool) -> None: ...
    def refuse(self, reason: Reason) -> None: ...
    @property
    def idle_for(self) -> float: ...
    def drain(self) -> None: ...
    def stop(self, reason: Reason) -> None: ...
    def tunnel_closed(self, reason: Reason) -> None: ...
