"""The files that an administrator names: read whole, but only if they are regular ones of a sane size.

A FIFO would block the reader until a program writes, a device may never end, and some devices do something when
they are opened. So each is looked at first, and opened without waiting.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import NamedTuple

USUAL = 4 * 1024 * 1024
"""Bytes that a file may have: a bundle of every authority that a browser trusts has a twentieth of it."""

REVOCATION_LIST = 64 * 1024 * 1024
"""The same for revocation lists: the largest that are published have some 30 MB."""


class Stamp(NamedTuple):
    """What differs once a file is another one, or has other content or other permissions. Times in nanoseconds."""

    device: int
    inode: int
    size: int
    modified: int
    changed: int


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


def stamp(path: Path) -> Stamp | None:
    """That of the file at `path` now, through links as well; None: it cannot be looked at."""
    try:
        found = path.stat()
    except OSError:
        return None
    return Stamp(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def in_memory(name: str, content: bytes = b"") -> int:
    """The descriptor of a new file on no disk (memfd_create(2)), at its beginning, to be closed. Raises OSError.

    name: for people, in /proc. No program that is started inherits it.
    """
    descriptor = os.memfd_create(name)
    with open(descriptor, "wb", closefd=False) as file:
        file.write(content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _judge(path: Path, found: os.stat_result, limit: int) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    if found.st_size > limit:
        raise _too_large(path, limit)


def _too_large(path: Path, limit: int) -> OSError:
    return OSError(errno.EFBIG, f"larger than {limit // (1024 * 1024)} MiB, so it is not what it should be", str(path))
