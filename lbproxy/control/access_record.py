"""One request as one line of JSON: what the access log says, in which order, and how it is escaped.

Every string may hold whatever a client sent. A line is printable ASCII, so no client can end it, forge another one
or reach the terminal that shows it (CVE-2024-45808 was that in Envoy); strings are capped, so none can flood the disk.
"""

from __future__ import annotations

from json.encoder import encode_basestring_ascii as quote  # 0.2 us for a user agent; json.dumps takes twice that
from typing import Protocol

from lbproxy.control.timestamp import timestamp

MAX_TARGET = 2048  # characters; what is longer is cut and ends in a marker with its whole length
MAX_USER_AGENT = 512
MAX_USER = 256
MAX_HOST = 256
MAX_METHOD = 32


class Record(Protocol):
    """What the data path tells about one request when it has ended. Strings are decoded as latin-1.

    `time` is when it ended, in seconds since the epoch. The milliseconds count from when the head was complete and are
    negative for what was not reached. `bytes_in` and `bytes_out` are counted on the client's side. `backend` and
    `lane` are empty when no backend was asked. `reason` is a label of `lbproxy.reasons.TABLE`.
    """

    @property
    def time(self) -> float: ...
    @property
    def listener(self) -> str: ...
    @property
    def client(self) -> str: ...
    @property
    def method(self) -> str: ...
    @property
    def target(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def protocol(self) -> str: ...
    @property
    def status(self) -> int: ...
    @property
    def bytes_in(self) -> int: ...
    @property
    def bytes_out(self) -> int: ...
    @property
    def user_agent(self) -> str: ...
    @property
    def user(self) -> str: ...
    @property
    def backend(self) -> str: ...
    @property
    def lane(self) -> str: ...
    @property
    def reused(self) -> bool: ...
    @property
    def tries(self) -> int: ...
    @property
    def connect_ms(self) -> float: ...
    @property
    def first_byte_ms(self) -> float: ...
    @property
    def total_ms(self) -> float: ...
    @property
    def reason(self) -> str: ...


def line(record: Record) -> str:
    """`record` as one JSON object, its keys always in this order, with the end of the line."""
    text = (
        f'{{"time":"{timestamp(record.time)}"'
        f',"listener":{quote(record.listener)}'
        f',"client":{quote(record.client)}'
        f',"method":{quote(_capped(record.method, MAX_METHOD))}'
        f',"target":{quote(_capped(record.target, MAX_TARGET))}'
        f',"host":{quote(_capped(record.host, MAX_HOST))}'
        f',"protocol":{quote(record.protocol)}'
        f',"status":{record.status}'
        f',"bytes_in":{record.bytes_in}'
        f',"bytes_out":{record.bytes_out}'
        f',"user_agent":{quote(_capped(record.user_agent, MAX_USER_AGENT))}'
        f',"user":{quote(_capped(record.user, MAX_USER))}'
        f',"backend":{quote(record.backend)}'
        f',"lane":{quote(record.lane)}'
        f',"reused":{"true" if record.reused else "false"}'
        f',"tries":{record.tries}'
        f',"connect_ms":{_milliseconds(record.connect_ms)}'
        f',"first_byte_ms":{_milliseconds(record.first_byte_ms)}'
        f',"total_ms":{_milliseconds(record.total_ms)}'
        f',"reason":{quote(record.reason)}}}\n'
    )
    # The one ASCII control character that JSON lets stand as it is.
    return text.replace("\x7f", "\\u007f") if "\x7f" in text else text


def _capped(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]}...[{len(text)} characters]"


def _milliseconds(value: float) -> str:
    return f"{value:.3f}" if value >= 0 else "null"
