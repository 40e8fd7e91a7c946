from collections.abc import Callable, Mapping
from enum import IntEnum

from lbproxy.reasons import Reason

class Field(IntEnum):
    OTHER = 0
    STRIP = 1
    HOST = 2
    CONTENT_LENGTH = 3
    TRANSFER_ENCODING = 4
    CONNECTION = 5
    UPGRADE = 6
    EXPECT = 7
    AUTHORIZATION = 8
    USER_AGENT = 9
    FORWARDED_FOR = 10
    FORWARDED_PROTO = 11
    FORWARDED_HOST = 12
    FORWARDED_PORT = 13
    FORWARDED = 14
    WWW_AUTHENTICATE = 15
    LOCATION = 16
    IDEMPOTENCY_KEY = 17

class Framing(IntEnum):
    NO_BODY = 0
    BY_LENGTH = 1
    CHUNKED = 2
    UNTIL_CLOSE = 3

class FieldTable:
    allow_underscores: bool
    def __init__(
        self, names: Mapping[bytes, Field], prefixes: Mapping[bytes, Field] = ..., allow_underscores: bool = ...
    ) -> None: ...

class Limits:
    max_head: int
    max_target: int
    max_lines: int
    def __init__(self, max_head: int = ..., max_target: int = ..., max_lines: int = ...) -> None: ...

class Forwarding:
    proto: bytes
    port: bytes
    default_host: bytes
    identity: bytes
    def __init__(self, proto: bytes, port: bytes, default_host: bytes, identity: bytes = ...) -> None: ...
    def identified(self, identity: bytes) -> Forwarding: ...

class Head:
    framing: Framing
    length: int
    minor: int
    def __init__(self, limits: Limits, table: FieldTable) -> None: ...
    def fields(self) -> list[tuple[bytes, bytes, Field]]: ...
    def values(self, field: Field) -> list[bytes]: ...

class RequestHead(Head):
    def read(self, data: bytes) -> int | Reason: ...
    def keeps_alive(self) -> bool: ...
    def line(self) -> tuple[bytes, bytes]: ...
    def path_listed(self, paths: tuple[bytes, ...]) -> int: ...
    def rewritten(self, forwarding: Forwarding, client: bytes, trusted: bool = ...) -> bytes: ...

class ResponseHead(Head):
    status: int
    asks_connection_auth: bool
    def __init__(self, limits: Limits, table: FieldTable, bare_lf: bool = ...) -> None: ...
    def keeps_alive(self) -> bool: ...
    def read(self, data: bytes, to_head: bool = ...) -> int | Reason: ...
    def rewritten(
        self, connection: bytes, decode: bool = ..., rewrite_location: Callable[[bytes], bytes] | None = ...
    ) -> bytes: ...

class Body:
    framing: Framing
    done: bool
    remaining: int
    def begin(
        self,
        framing: Framing,
        length: int = ...,
        decode: bool = ...,
        table: FieldTable | None = ...,
        bare_lf: bool = ...,
    ) -> None: ...
    def feed(self, data: bytes) -> tuple[bytes, int]: ...
