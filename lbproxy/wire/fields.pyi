from collections.abc import Mapping
from enum import IntEnum

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
    REQUEST_ID = 18
    TRACEPARENT = 19
    TRACESTATE = 20

class FieldTable:
    allow_underscores: bool
    def __init__(
        self, names: Mapping[bytes, Field], prefixes: Mapping[bytes, Field] = ..., allow_underscores: bool = ...
    ) -> None: ...
    def meaning(self, name: bytes) -> Field: ...

class Limits:
    max_head: int
    max_target: int
    max_lines: int
    def __init__(self, max_head: int = ..., max_target: int = ..., max_lines: int = ...) -> None: ...

class FieldSection:
    def __init__(self, limits: Limits, table: FieldTable, bare_lf: bool = ...) -> None: ...
    def fields(self) -> list[tuple[bytes, bytes, Field]]: ...
    def values(self, field: Field) -> list[bytes]: ...
