"""One question to one KDC: a request for a ticket-granting ticket without any proof of who asks (RFC 4120 section 3.1).

The KDC refuses it, counts nothing against the account, and says its time; and that it wants a proof, with the
encryption types that it has keys of for the account. One that demands no proof sends a ticket, which nobody can use.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

_LARGEST = 1 << 16  # bytes of an answer
_ETYPE_INFO2 = 19  # the type of PA-DATA (RFC 4120 section 5.2.7.5)
_PREAUTH_REQUIRED = 25
_OFFERED = (20, 19, 18, 17, 23)

_SEQUENCE, _INTEGER, _BITS, _OCTETS, _STRING, _TIME = 0x30, 0x02, 0x03, 0x04, 0x1B, 0x18
_AS_REQ, _AS_REP, _KRB_ERROR = 0x6A, 0x6B, 0x7E


class Answer(NamedTuple):
    """`skew`: how far its clock is ahead, in seconds, None if it did not say. `error`: its number, 0 for a ticket.

    `enctypes`: of the account's keys, best first; empty if the KDC did not say.
    """

    skew: float | None
    error: int
    enctypes: tuple[int, ...]


async def ask_kdc(host: str, port: int, principal: str) -> Answer:
    """principal: as in alice@CORP.EXAMPLE. Raises OSError if there is no KDC, and ValueError if it makes no sense."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        question = as_request(principal)
        sent = time.time()
        writer.write(len(question).to_bytes(4) + question)
        length = int.from_bytes(await reader.readexactly(4))
        if length > _LARGEST:
            raise ValueError("what answers is no KDC")
        content = await reader.readexactly(length)
        now = (sent + time.time()) / 2
    except asyncio.IncompleteReadError:
        raise ValueError("it closed the connection without an answer") from None
    finally:
        writer.close()
    try:
        return _answer(content, now)
    except (LookupError, UnicodeDecodeError, StopIteration):
        raise ValueError("what answers is no KDC") from None


def as_request(principal: str) -> bytes:
    """An AS-REQ (RFC 4120 section 5.4.1)."""
    name, _, realm = principal.rpartition("@")
    names = b"".join(_wrap(_STRING, part.encode()) for part in name.split("/"))
    till = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y%m%d%H%M%SZ").encode()
    body = b"".join(
        (
            _field(0, _wrap(_BITS, bytes(5))),
            _field(1, _name(1, names)),
            _field(2, _wrap(_STRING, realm.encode())),
            _field(3, _name(2, _wrap(_STRING, b"krbtgt") + _wrap(_STRING, realm.encode()))),
            _field(5, _wrap(_TIME, till)),
            _field(7, _number(int.from_bytes(os.urandom(3)))),
            _field(8, _wrap(_SEQUENCE, b"".join(map(_number, _OFFERED)))),
        )
    )
    request = _field(1, _number(5)) + _field(2, _number(10)) + _field(4, _wrap(_SEQUENCE, body))
    return _wrap(_AS_REQ, _wrap(_SEQUENCE, request))


def _name(kind: int, names: bytes) -> bytes:
    return _wrap(_SEQUENCE, _field(0, _number(kind)) + _field(1, _wrap(_SEQUENCE, names)))


def _field(number: int, content: bytes) -> bytes:
    return _wrap(0xA0 + number, content)


def _number(value: int) -> bytes:
    return _wrap(_INTEGER, value.to_bytes(value.bit_length() // 8 + 1, signed=True))


def _wrap(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes((tag, 0x80 + len(length))) + length + content


def _answer(content: bytes, now: float) -> Answer:
    tag, inside = next(_elements(content))
    if tag == _AS_REP:
        fields = dict(_elements(_only(inside)))
        return Answer(None, 0, _enctypes(_only(fields.get(0xA2, b""))))
    if tag != _KRB_ERROR:
        raise ValueError("what answers is no KDC")
    fields = dict(_elements(_only(inside)))
    error = int.from_bytes(_only(fields[0xA6]), signed=True)
    when = datetime.strptime(_only(fields[0xA4]).decode(), "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
    fraction = int.from_bytes(_only(fields[0xA5])) / 1e6
    data = _only(_only(fields[0xAC])) if error == _PREAUTH_REQUIRED and 0xAC in fields else b""
    return Answer(when.timestamp() + fraction - now, error, _enctypes(data))


def _enctypes(methods: bytes) -> tuple[int, ...]:
    """Out of METHOD-DATA, a sequence of PA-DATA."""
    for _, method in _elements(methods):
        fields = dict(_elements(method))
        if int.from_bytes(_only(fields[0xA1]), signed=True) == _ETYPE_INFO2:
            entries = (dict(_elements(entry)) for _, entry in _elements(_only(_only(fields[0xA2]))))
            return tuple(int.from_bytes(_only(entry[0xA0]), signed=True) for entry in entries)
    return ()


def _only(content: bytes) -> bytes:
    """The content of the one element in it; of nothing, nothing."""
    return next(_elements(content))[1] if content else b""


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each element (X.690)."""
    while data:
        size, start = data[1], 2
        if size >= 0x80:
            start += size - 0x80
            size = int.from_bytes(data[2:start])
        if start + size > len(data):
            raise IndexError
        yield data[0], data[start : start + size]
        data = data[start + size :]
