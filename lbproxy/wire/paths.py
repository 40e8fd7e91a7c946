"""Which paths a request target may name, however it is spelled."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from urllib.parse import unquote_to_bytes

_SLASHES = re.compile(rb"/+")

_DECODINGS = 4
"""Backends decode once, or twice behind another proxy. Without a limit, `%252525...` would be decoded for minutes."""


def normalised(path: bytes) -> bytes:
    """A path in the one spelling that `is_denied` compares with.

    Lower case, percent-decoded, backslashes as slashes, no empty or dot segments (RFC 3986 section 5.2.4), no
    parameters (`;x`) and no final slash.
    """
    *_, decoded = _decodings(path)
    *_, end = _places(decoded, len(decoded))
    return end


def is_denied(target: bytes, denied: Collection[bytes]) -> bool:
    """Whether a request target names one of `denied` (normalised paths), or something below one, to any backend.

    Backends differ in how often they decode, and in whether they resolve `..`. So every decoding is looked at, and a
    path that passes through a denied one counts even if it leaves it again. What is encoded more often than anybody
    decodes is denied too.
    """
    depth = max((path.count(b"/") for path in denied), default=0)
    path = b""
    for path in _decodings(target.partition(b"?")[0]):
        if any(place in denied for place in _places(path, depth)):
            return True
    return unquote_to_bytes(path) != path


def _decodings(path: bytes) -> Iterator[bytes]:
    """The path as it is, and percent-decoded until nothing changes; four times at most."""
    yield path
    for _ in range(_DECODINGS):
        decoded = unquote_to_bytes(path)
        if decoded == path:
            return
        yield decoded
        path = decoded


def _places(path: bytes, depth: int) -> Iterator[bytes]:
    """The normalised paths that a path leads through, those of more than `depth` segments left out."""
    kept: list[bytes] = []
    yield b"/"
    for segment in _SLASHES.split(path.replace(b"\\", b"/").lower()):
        name = segment.partition(b";")[0]
        if name == b"..":
            del kept[-1:]
        elif name not in (b"", b"."):
            kept.append(name)
        if len(kept) <= depth:
            yield b"/" + b"/".join(kept)
