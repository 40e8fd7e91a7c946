"""Where a balancer that was started without a file keeps the one that it amounts to."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import mkdtemp

from lbproxy.config import Address
from lbproxy.errors import StartError


def keep(text: str, listen: Address, admin: Address) -> Path:
    """Write `text` into a directory that only this user can read, and give the file's path. Raises StartError.

    The directory is that of the socket `admin`, and the name is made of `listen`, so that the next start with the same
    address replaces the file.
    """
    try:
        path = directory(admin) / f"run-{_name(listen)}.toml"
        new = path.with_name(f".{path.name}.{os.getpid()}")
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "w") as file:
            file.write(text)
        new.replace(path)
    except OSError as error:
        raise StartError(
            f"{error.filename}: {error.strerror}; the configuration needs a place: set XDG_RUNTIME_DIR to a"
            " directory of your own, or write it into a file with `--print`, and start it with -c FILE"
        ) from error
    return path


def directory(admin: Address) -> Path:
    """The directory of the socket `admin`, made if it is missing; a new one if `admin` is no socket. Raises OSError."""
    if admin.path is None:
        return Path(mkdtemp(prefix="lbproxy-"))
    admin.path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    return admin.path.parent


def _name(listen: Address) -> str:
    if listen.path is not None:
        return listen.path.stem
    return f"{listen.host.replace(':', '.')}-{listen.port}"
