"""Files that root can read and no other account: they are a trap where a service has an account of its own."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import BaseModel

from lbproxy.config import Config
from lbproxy.config.keys import Location, full_name
from lbproxy.preflight.report import Report

_LOOK, _ENTER = 0o4, 0o1


def warn_of_root_only(report: Report, path: Path, config: Config) -> None:
    """A warning for the file of the configuration, at `path`, and each that it names, if only root can read it.

    Only owners and modes are looked at. `check --user` sees groups and access lists too.
    """
    for where, file in (("the file", path.absolute()), *named_files(config)):
        if hidden := _hidden_by(file):
            what = "it" if hidden == file else f"below {hidden} it"
            report.warning(where, f"only root can read {file}: {what} is open to root alone; --user NAME tells more")


def named_files(config: Config) -> Iterator[tuple[str, Path]]:
    """Each file to be read that the configuration names, with the full name of its key."""
    for location, path in _paths(config):
        if location[0] != "access_log":
            yield full_name(location), path


def _paths(value: object, where: Location = ()) -> Iterator[tuple[Location, Path]]:
    if isinstance(value, Path):
        yield where, value
    elif isinstance(value, BaseModel):
        for name, field in type(value).model_fields.items():
            yield from _paths(getattr(value, name), (*where, field.alias or name))
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _paths(inner, (*where, key))
    elif isinstance(value, tuple):
        for position, inner in enumerate(value):
            yield from _paths(inner, (*where, position))


def _hidden_by(file: Path) -> Path | None:
    """The file itself, or the directory on the way to it, that is open to root alone."""
    real = Path(os.path.realpath(file))
    for directory in reversed(real.parents):
        if _only_root(directory, _ENTER):
            return directory
    return file if _only_root(real, _LOOK) else None


def _only_root(path: Path, permission: int) -> bool:
    """Whether only root has the `permission`; the owner's and the group's are those of others, shifted."""
    try:
        found = path.stat()
        listed = "system.posix_acl_access" in os.listxattr(path)
    except OSError:
        return False  # the inspection says so, or this file system has no access lists
    mode = stat.S_IMODE(found.st_mode)
    others = mode & permission
    group = found.st_gid != 0 and mode & permission << 3
    owner = found.st_uid != 0 and mode & permission << 6
    return not (others or group or owner or listed)
