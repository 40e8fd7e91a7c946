"""One request as one line of JSON: what the access log says, in which order, and how it is escaped.

Every string may hold whatever a client sent. A line is printable ASCII, so no client can end it, forge another one
or reach the terminal that shows it (CVE-2024-45808 was that in Envoy); strings are capped, so none can flood the disk.
"""

from __future__ import annotations

from functools import lru_cache
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
        f",{_sender(record.listener, record.client, _capped(record.method, MAX_METHOD))}"
        f',"target":{quote(_capped(record.target, MAX_TARGET))}'
        f",{_asked(_capped(record.host, MAX_HOST), record.protocol, record.status)}"
        f',"bytes_in":{record.bytes_in},"bytes_out":{record.bytes_out}'
        f",{_sent_by(_capped(record.user_agent, MAX_USER_AGENT), _capped(record.user, MAX_USER))}"
        f",{_served(record.backend, record.lane, record.reused, record.tries)}"
        f',{_times(record.connect_ms, record.first_byte_ms, record.total_ms)},"reason":{quote(record.reason)}}}\n'
    )
    # The one ASCII control character that JSON lets stand as it is.
    return text.replace("\x7f", "\\u007f") if "\x7f" in text else text


# What request after request repeats is made once, of texts that are short: they are kept. Not the target: queries
# seldom repeat, and may be secret.


@lru_cache(maxsize=1024)
def _sender(listener: str, client: str, method: str) -> str:
    return f'"listener":{quote(listener)},"client":{quote(client)},"method":{quote(method)}'


@lru_cache(maxsize=256)
def _asked(host: str, protocol: str, status: int) -> str:
    return f'"host":{quote(host)},"protocol":{quote(protocol)},"status":{status}'


@lru_cache(maxsize=1024)
def _sent_by(user_agent: str, user: str) -> str:
    return f'"user_agent":{quote(user_agent)},"user":{quote(user)}'


@lru_cache(maxsize=1024)
def _served(backend: str, lane: str, reused: bool, tries: int) -> str:
    return f'"backend":{quote(backend)},"lane":{quote(lane)},"reused":{"true" if reused else "false"},"tries":{tries}'


def _times(connect: float, first_byte: float, total: float) -> str:
    if connect >= 0 and first_byte >= 0:
        return _TIMES % (connect, first_byte, total)  # all at once takes half as long
    return _SOME_TIMES % (_milliseconds(connect), _milliseconds(first_byte), _milliseconds(total))


def _capped(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]}...[{len(text)} characters]"


def _milliseconds(value: float) -> str:
    return f"{value:.3f}" if value >= 0 else "null"


_TIMES = '"connect_ms":%.3f,"first_byte_ms":%.3f,"total_ms":%.3f'
_SOME_TIMES = _TIMES.replace("%.3f", "%s")
