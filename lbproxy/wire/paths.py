"""Which path a request target names, however it is spelled."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

_SLASHES = re.compile(rb"/+")

_DECODINGS = 4
"""Backends decode once, or twice behind another proxy. Without a limit, `%252525...` would be decoded for minutes."""


def normalised(target: bytes) -> bytes:
    """The path of a request target in the one spelling that `deny_paths` is compared with.

    Lower case, percent-decoded until nothing changes (four times at most), backslashes as slashes, no empty or dot
    segments (RFC 3986 section 5.2.4), no parameters (`;x`) and no final slash: a superset of what backends are known
    to treat as equal.
    """
    path = target.partition(b"?")[0]
    for _ in range(_DECODINGS):
        decoded = unquote_to_bytes(path)
        if decoded == path:
            break
        path = decoded
    kept: list[bytes] = []
    for segment in _SLASHES.split(path.replace(b"\\", b"/").lower()):
        name = segment.partition(b";")[0]
        if name == b"..":
            del kept[-1:]
        elif name not in (b"", b"."):
            kept.append(name)
    return b"/" + b"/".join(kept)


def is_below(path: bytes, denied: bytes) -> bool:
    """Whether a normalised path is `denied`, or below it."""
    return path == denied or path.startswith(denied.rstrip(b"/") + b"/")
