"""How files of an installation are opened: regular ones of a sane size, and no link on the way.

The directory may belong to the connector's account, and root may be the one who reads and writes. So every step below
the directory is opened by descriptor and without following links: a directory that is exchanged for a link meanwhile is
refused, whatever it leads to.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path, PurePosixPath

from lbproxy.errors import InstanceError
from lbproxy.instance.model import FOLDER, Area, File

LARGEST_FILE = 16 * 1024 * 1024
LARGEST_INSTANCE = 48 * 1024 * 1024
"""Bytes of a file, and of all files together; a real instance has less than one MiB."""

MOST_FILES = 2000
_DEEPEST = 20  # directories

_PLAIN = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY


@contextmanager
def opened(directory: Path, below: str = "", make: bool = False) -> Iterator[int]:
    """A descriptor of the directory `below` a directory, which itself may be behind links. make: make what is missing.

    Raises OSError, as for a link on the way.
    """
    at = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in PurePosixPath(below).parts:
            if make:
                _make(at, name)
            following = os.open(name, os.O_RDONLY | os.O_DIRECTORY | _PLAIN, dir_fd=at)
            os.close(at)
            at = following
        yield at
    finally:
        os.close(at)


def _make(at: int, name: str) -> None:
    try:
        os.mkdir(name, 0o755, dir_fd=at)
    except FileExistsError:
        return
    owner = os.fstat(at)
    if os.geteuid() == 0:
        os.chown(name, owner.st_uid, owner.st_gid, dir_fd=at, follow_symlinks=False)


def read_at(at: int | None, name: str) -> tuple[bytes, os.stat_result]:
    """The content of a regular file in an opened directory, or at a path. Raises OSError, whose strerror says why.

    It is looked at before it is opened: a setting may name any device, and a watchdog that was opened ends the host.
    """
    found = os.stat(name, dir_fd=at, follow_symlinks=False)
    if not stat.S_ISREG(found.st_mode) and not stat.S_ISLNK(found.st_mode):  # a link is refused below, as one
        raise OSError(errno.EINVAL, "not a regular file")
    descriptor = os.open(name, os.O_RDONLY | _PLAIN, dir_fd=at)
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        content = file.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise OSError(errno.EFBIG, f"larger than {LARGEST_FILE // 1024 // 1024} MiB")
    return content, found


def file_below(directory: Path, path: str, secret: bool = False, area: Area = Area.INSTANCE) -> File:
    """The file `path` below a directory. Raises InstanceError."""
    parts = PurePosixPath(path)
    try:
        with opened(directory, str(parts.parent)) as at:
            content, found = read_at(at, parts.name)
    except OSError as error:
        raise InstanceError(f"{directory / path}: {reason(error)}") from None
    return File(area, path, content, stat.S_IMODE(found.st_mode) & 0o777, secret)


def shared_secret(path: Path) -> bytes:
    """A file of at least 32 bytes that only its owner and group may read. Raises InstanceError."""
    found = alone(path, Area.INSTANCE, secret=True)
    if len(found.content.strip()) < 32:
        raise InstanceError(f"{path}: is too short for a key; make one with `openssl rand -hex 32`")
    if found.mode & 0o007:
        raise InstanceError(f"{path}: everybody on this host may read it; chmod o-rwx")
    return found.content.strip()


def exists(directory: Path, path: str) -> bool:
    """Whether something is there, be it a link that leads nowhere."""
    return os.path.lexists(directory / path)


def is_mount_point(path: Path) -> bool:
    """Whether something is mounted there, as on a file that a container gets from its host: see proc(5), mountinfo."""
    try:
        mounts = Path("/proc/self/mountinfo").read_bytes().splitlines()
    except OSError:
        return False
    place = re.sub(rb"[\\ \t\n]", lambda one: b"\\%03o" % ord(one[0]), os.fsencode(os.path.realpath(path)))
    return any(mount.split(b" ")[4] == place for mount in mounts)


def alone(path: Path, area: Area, secret: bool) -> File:
    """A file that is an area by itself; its name may be a link, as the administrator wrote it. Raises InstanceError."""
    try:
        real = path.resolve(strict=True)
        content, found = read_at(None, str(real))  # its directory may be one that only lets through
    except (OSError, RuntimeError) as error:
        raise InstanceError(f"{path}: {reason(error)}") from None
    return File(area, "", content, stat.S_IMODE(found.st_mode) & 0o777, secret)


def tree(directory: Path, below: str, secret: bool = False, area: Area = Area.INSTANCE) -> list[File]:
    """Every file `below` a directory, at any depth; none if there is no such directory. Raises InstanceError."""
    found: list[File] = []
    for path in sorted(islice(_walk(directory, below), MOST_FILES + 1)):
        found.append(file_below(directory, path, secret, area))
        if len(found) > MOST_FILES or sum(len(one.content) for one in found) > LARGEST_INSTANCE:
            raise InstanceError(f"{directory / below}: too many files, or too large, to be an instance's")
    return found


def _walk(directory: Path, below: str, depth: int = 0) -> Iterator[str]:
    if depth > _DEEPEST:
        raise InstanceError(f"{directory / below}: too many directories within each other to be an instance's")
    try:
        with opened(directory, below) as at, os.scandir(at) as entries:
            some = islice(entries, MOST_FILES + 1)
            listed = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in some]
    except FileNotFoundError:
        return
    except OSError as error:
        raise InstanceError(f"{directory / below}: {reason(error)}") from None
    for name, is_directory in listed:
        path = str(PurePosixPath(below, name))
        if is_directory and name != FOLDER:
            yield from _walk(directory, path, depth + 1)
        elif not is_directory:
            yield path


def reason(error: BaseException) -> str:
    """Why a file could not be read, for people."""
    if isinstance(error, OSError) and error.errno in (errno.ELOOP, errno.EMLINK):
        return "is a symbolic link, which is not followed: put the file itself there"
    if isinstance(error, OSError) and error.errno == errno.ENXIO:
        return "not a regular file"  # a socket
    if isinstance(error, NotADirectoryError):
        return "is a symbolic link, or no directory: put the directory itself there"
    return getattr(error, "strerror", None) or str(error)
