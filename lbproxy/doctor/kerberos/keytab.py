"""The entries of a keytab, without their keys: no library is needed to tell which there are.

The format is that of MIT's "Keytab file format", version 0x502: numbers are big-endian, an entry of a negative length
is a hole.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from lbproxy import files

ENCTYPES = {16: "des3", 17: "aes128-sha1", 18: "aes256-sha1", 19: "aes128-sha2", 20: "aes256-sha2", 23: "rc4"}
"""By their numbers in IANA's registry of Kerberos encryption types."""

_VERSION = b"\x05\x02"


class Entry(NamedTuple):
    """A key: whose, its version, its encryption type, and when it was written, in seconds since the epoch."""

    principal: str
    kvno: int
    enctype: int
    written: int


def enctype_name(number: int) -> str:
    """As in aes256-sha1."""
    return ENCTYPES.get(number, f"enctype {number}")


def read_keytab(path: Path) -> list[Entry]:
    """The entries. Raises OSError, and ValueError, with a sentence, if the file is no keytab."""
    content = files.read(path)
    if content[:2] != _VERSION:
        raise ValueError(f"{path} is not a keytab")
    try:
        return list(_entries(content, 2))
    except (struct.error, IndexError):
        raise ValueError(f"{path} is a keytab that is cut off, or damaged") from None


def _entries(content: bytes, at: int) -> Iterator[Entry]:
    while at < len(content):
        (length,) = struct.unpack_from(">i", content, at)
        at += 4
        if length > 0:
            if at + length > len(content):
                raise IndexError
            yield _entry(content[at : at + length])
        at += abs(length)
        if length == 0:
            return  # the rest is unused


def _entry(content: bytes) -> Entry:
    (components,) = struct.unpack_from(">H", content)
    realm, at = _text(content, 2)
    names = []
    for _ in range(components):
        name, at = _text(content, at)
        names.append(name)
    _, written, kvno, enctype, size = struct.unpack_from(">IIBHH", content, at)
    at += 13 + size
    if at > len(content):
        raise IndexError
    if len(content) - at >= 4:  # a version of 32 bits, which counts unless it is 0
        (wide,) = struct.unpack_from(">I", content, at)
        kvno = wide or kvno
    return Entry(f"{'/'.join(names)}@{realm}", kvno, enctype, written)


def _text(content: bytes, at: int) -> tuple[str, int]:
    (size,) = struct.unpack_from(">H", content, at)
    if at + 2 + size > len(content):
        raise IndexError
    return content[at + 2 : at + 2 + size].decode("utf-8", "replace"), at + 2 + size
