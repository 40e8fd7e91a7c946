"""The files that an administrator names: read whole, but only if they are regular ones of a sane size.

A FIFO would block the reader until a program writes, a device may never end, and some devices do something when
they are opened. So each is looked at first, and opened without waiting.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

USUAL = 4 * 1024 * 1024
"""Bytes that a file may have: a bundle of every authority that a browser trusts has a twentieth of it."""

REVOCATION_LIST = 64 * 1024 * 1024
"""The same for revocation lists: the largest that are published have some 30 MB."""


def read(path: Path, limit: int = USUAL) -> bytes:
    """The content of the regular file at `path`, of at most `limit` bytes. Raises OSError, whose strerror says why."""
    check(path, limit)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        _judge(path, os.fstat(descriptor), limit)  # another file may have that name by now
        content = file.read(limit + 1)
    if len(content) > limit:  # it grows, or is one of /proc, whose sizes are 0
        raise _too_large(path, limit)
    return content


def check(path: Path, limit: int = USUAL) -> None:
    """Raises OSError in the same cases, for a file that a library is to open. Whether it may be read is not said."""
    _judge(path, path.stat(), limit)


def _judge(path: Path, found: os.stat_result, limit: int) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    if found.st_size > limit:
        raise _too_large(path, limit)


def _too_large(path: Path, limit: int) -> OSError:
    return OSError(errno.EFBIG, f"larger than {limit // (1024 * 1024)} MiB, so it is not what it should be", str(path))
