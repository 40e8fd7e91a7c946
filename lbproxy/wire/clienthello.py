"""The server name that a TLS client asks for, read from its ClientHello without ending the TLS connection.

Only what leads to the name is judged (the record layer of RFC 8446 section 5.1, the outline of its section 4.1.2,
server_name of RFC 6066 section 3). The rest is between the client and the backend, which gets every byte unchanged.
"""

from __future__ import annotations

import re
from typing import NamedTuple

MAX_HELLO = 65536
"""Bytes of the records that hold the largest ClientHello that is taken. Post-quantum key shares make one of 2 KB."""

# Alert descriptions, RFC 8446 section 6
UNEXPECTED_MESSAGE = 10
RECORD_OVERFLOW = 22
HANDSHAKE_FAILURE = 40
ILLEGAL_PARAMETER = 47
DECODE_ERROR = 50
PROTOCOL_VERSION = 70
INTERNAL_ERROR = 80
MISSING_EXTENSION = 109
UNRECOGNIZED_NAME = 112


def alert(description: int) -> bytes:
    """The whole record of a fatal alert (RFC 8446 section 6), for a client that has not been answered yet."""
    return bytes((21, 3, 3, 0, 2, 2, description))


class HelloError(ValueError):
    """The first bytes of a connection are no ClientHello that could be passed on; the text says why.

    alert: the TLS record to send before the connection is closed.
    """

    def __init__(self, text: str, description: int = DECODE_ERROR) -> None:
        super().__init__(text)
        self.alert = alert(description)


class NotTls(HelloError):
    """The client speaks something else: plain HTTP, SSL 2.0, ..."""


class HelloTooLarge(HelloError):
    """The ClientHello takes more than MAX_HELLO bytes."""


class MalformedHello(HelloError):
    """TLS, but its first message is no ClientHello, or not a well-formed one."""


class ClientHello(NamedTuple):
    """server_name: a host name in lower case, or None when the client names none."""

    server_name: str | None


def parse(data: bytes) -> ClientHello | None:
    """The ClientHello that a connection's first bytes, `data`, begin with; None when it is not whole yet.

    Raises HelloError: NotTls at the first byte that says so, HelloTooLarge or MalformedHello.
    """
    return HelloReader().read(data)


class HelloReader:
    """`parse` for bytes that come in pieces: a record that was read is not looked at again.

    Without that, a client that sends records of one byte, byte by byte, would make every byte as dear as all before it.
    """

    __slots__ = ("_at", "_message")

    def __init__(self) -> None:
        self._at = 0  # where the next record starts
        self._message = bytearray()

    def __repr__(self) -> str:
        return f"<hello of {len(self._message)} bytes so far>"

    def read(self, data: bytes) -> ClientHello | None:
        """As `parse`; `data` is all that came so far, with that of earlier calls. An error is the end."""
        while (end := _record_end(data, self._at)) <= len(data):
            self._message += data[self._at + _RECORD_HEADER : end]
            self._at = end
            if len(self._message) >= _MESSAGE_HEADER and _message_end(self._message) <= len(self._message):
                return ClientHello(_server_name(bytes(self._message)))
        return None


# --- the record layer, RFC 8446 section 5.1

_RECORD_HEADER = 5  # type, version (2), length (2)
_MAX_RECORD = 1 << 14
_HANDSHAKE = 22


def _record_end(data: bytes, at: int) -> int:
    """Where the record at `at` ends, or more than there is of `data` when that is not known yet."""
    _check_record(data[at : at + 2], at == 0)
    content = at + _RECORD_HEADER
    if len(data) < content:
        return content
    length = int.from_bytes(data[content - 2 : content])
    if length > _MAX_RECORD:
        raise MalformedHello(f"a record of {length} bytes", RECORD_OVERFLOW)
    if length == 0:
        raise MalformedHello("a handshake record without content", UNEXPECTED_MESSAGE)
    if content + length > MAX_HELLO:
        raise HelloTooLarge(f"a ClientHello in more than {MAX_HELLO} bytes of records", ILLEGAL_PARAMETER)
    return content + length


def _check_record(start: bytes, is_first: bool) -> None:
    """That a record begins as one of a handshake, as far as it is there. The minor version is to be ignored."""
    kind = NotTls if is_first else MalformedHello
    if start[:1] and start[0] != _HANDSHAKE:
        raise kind(f"the first byte of a record is {start[0]:#04x}, not that of a handshake", UNEXPECTED_MESSAGE)
    if start[1:] and start[1] != 3:
        raise kind(f"a record of version {start[1]}.x", PROTOCOL_VERSION)


# --- the message, RFC 8446 sections 4 and 4.1.2

_MESSAGE_HEADER = 4  # type, length (3)
_CLIENT_HELLO = 1
_SERVER_NAME, _HOST_NAME = 0, 0  # the extension's type; the one type of a name in it


def _message_end(message: bytearray) -> int:
    if message[0] != _CLIENT_HELLO:
        raise MalformedHello(f"a handshake message of type {message[0]}, not a ClientHello", UNEXPECTED_MESSAGE)
    end = _MESSAGE_HEADER + int.from_bytes(message[1:_MESSAGE_HEADER])
    if end > MAX_HELLO:
        raise HelloTooLarge(f"a ClientHello of {end} bytes", ILLEGAL_PARAMETER)
    return end


class _Fields:
    """The fields of a structure of TLS' presentation language (RFC 8446 section 3), one after the other."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        """Whether there is more."""
        return self._at < len(self._data)

    def take(self, size: int) -> bytes:
        """The next `size` bytes, all of which must be there."""
        start, self._at = self._at, self._at + size
        if self._at > len(self._data):
            raise MalformedHello("a ClientHello with a field that is longer than what it is in")
        return self._data[start : self._at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size))

    def vector(self, size: int) -> bytes:
        """A vector whose length is told in `size` bytes."""
        return self.take(self.number(size))


def _server_name(message: bytes) -> str | None:
    """The name in a message that is whole; other messages may follow it in the last record."""
    fields = _Fields(_Fields(message[1:]).vector(3))
    fields.take(2 + 32)  # legacy_version, random
    for size in (1, 2, 1):  # legacy_session_id, cipher_suites, legacy_compression_methods
        fields.vector(size)
    extensions = _Fields(fields.vector(2) if fields else b"")  # before TLS 1.3 they may be left out
    if fields:
        raise MalformedHello("a ClientHello with something after its extensions")
    name = None
    while extensions:
        kind, content = extensions.number(2), extensions.vector(2)
        if kind == _SERVER_NAME:
            if name is not None:
                raise MalformedHello("a ClientHello with two server_name extensions", ILLEGAL_PARAMETER)
            name = _host_name(content)
    return name


_LABEL = r"(?!-)[a-z0-9_-]{1,63}(?<!-)"
_NAME = re.compile(rf"(?:{_LABEL}\.)*(?![0-9]+\Z){_LABEL}")  # the last label of an IPv4 address is a number
_MAX_NAME = 253  # characters of a name that the DNS can hold, RFC 1035 section 2.3.4


def _host_name(extension: bytes) -> str:
    """The one name of a server_name extension: in ASCII, without a final dot, not an address (RFC 6066 section 3)."""
    content = _Fields(extension)
    names = _Fields(content.vector(2))
    kind, name = names.number(1), names.vector(2)
    if content or names or kind != _HOST_NAME:
        raise MalformedHello("a server_name extension of other content than one host_name")
    text = name.decode("latin-1").lower()
    if len(text) > _MAX_NAME or not _NAME.fullmatch(text):
        raise MalformedHello(f"a server_name that is no host name: {text[:_MAX_NAME]!a}", ILLEGAL_PARAMETER)
    return text
