"""The account that a unit of systemd starts its service as (systemd.exec(5), systemd.unit(5))."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from lbproxy import files
from lbproxy.errors import StartError

_DIRECTORIES = {
    "RuntimeDirectory": Path("/run"),
    "StateDirectory": Path("/var/lib"),
    "CacheDirectory": Path("/var/cache"),
    "LogsDirectory": Path("/var/log"),
}

_CONTINUED = re.compile(r"\\\n")


class UnitAccount(NamedTuple):
    """`User=`, `Group=` and `SupplementaryGroups=`, each a name or a number; None: systemd's default.

    `directories` are those that systemd makes for the user: `RuntimeDirectory=` and its like.
    """

    user: str | None
    group: str | None
    supplementary: tuple[str, ...]
    directories: tuple[Path, ...]


def unit_account(path: Path) -> UnitAccount:
    """The account in the [Service] of the unit at `path`, with its drop-ins in PATH.d. Raises StartError."""
    user: str | None = None
    group: str | None = None
    supplementary: tuple[str, ...] = ()
    directories: tuple[Path, ...] = ()
    for file in _files(path):
        for key, value in _service(file):
            if key == "DynamicUser" and value.lower() in ("1", "yes", "true", "on"):
                raise StartError(
                    f"{file}: DynamicUser: its account is made at the start, and cannot be looked as before"
                )
            if key in ("User", "Group", "SupplementaryGroups") and "%" in value.replace("%%", ""):
                raise StartError(f"{file}: {key}: {value!r} depends on the instance; name the user with --user")
            match key:
                case "User":
                    user = value or None
                case "Group":
                    group = value or None
                case "SupplementaryGroups":
                    supplementary = (*supplementary, *value.split()) if value else ()
                case _ if key in _DIRECTORIES:
                    names = (name.partition(":")[0] for name in value.split())
                    directories = (*directories, *(_DIRECTORIES[key] / name for name in names))
    return UnitAccount(user, group, supplementary, directories)


def unit_settings(path: Path) -> dict[str, str]:
    """The [Service] of the unit at `path`, with its drop-ins: of each setting the last value. Raises StartError."""
    return {key: value for file in _files(path) for key, value in _service(file)}


def _files(path: Path) -> tuple[Path, ...]:
    return (path, *sorted(path.with_name(f"{path.name}.d").glob("*.conf")))


def _service(path: Path) -> Iterator[tuple[str, str]]:
    """The settings of the section [Service], in their order; an empty value takes back those before it."""
    try:
        text = files.read(path).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise StartError(f"{path}: {getattr(error, 'strerror', None) or 'is not UTF-8'}") from None
    section = ""
    for line in _CONTINUED.sub(" ", text).splitlines():
        stripped = line.strip()
        if stripped.startswith("["):
            section = stripped
        elif section == "[Service]" and not stripped.startswith(("#", ";")) and "=" in stripped:
            key, _, value = stripped.partition("=")
            yield key.strip(), value.strip()
