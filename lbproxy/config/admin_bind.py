"""`admin.bind` alone, for the commands that ask a running balancer: whatever else the file holds is not judged.

A balancer that runs well must take orders while its file is being edited.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from lbproxy.config.addresses import Address, address
from lbproxy.config.admin_default import admin_default
from lbproxy.config.environment import expand
from lbproxy.config.toml import parse, read_text
from lbproxy.errors import ConfigError, Problem

_ADMIN_TABLE = re.compile(r"^[ \t]*\[[ \t]*admin[ \t]*\][^\n]*\n(.*?)(?=^[ \t]*\[|\Z)", re.MULTILINE | re.DOTALL)
"""The table [admin], up to the next one. It is looked for only where the file as a whole is no TOML."""


class AdminBind(NamedTuple):
    """Where the file says that the admin interface is. With a `problem` it could not say: then it is the default."""

    address: Address
    problem: str = ""


def admin_bind(path: Path, environ: Mapping[str, str] = os.environ) -> AdminBind:
    """`admin.bind` of the TOML file at `path`, with `environ` for its ${NAME} references; it raises nothing."""
    try:
        table = _admin_table(path)
        if "bind" not in table:
            return AdminBind(admin_default(environ))
        problems: list[Problem] = []
        value = expand(table["bind"], environ, problems, ("admin", "bind"))
        if problems:
            raise ConfigError(str(path), problems)
        return AdminBind(address(value, path.absolute().parent))
    except ConfigError as error:
        return AdminBind(admin_default(environ), str(error))
    except ValueError as error:
        return AdminBind(admin_default(environ), f"{path}: admin.bind: {error}")


def _admin_table(path: Path) -> Mapping[str, Any]:
    """The table [admin]: of the whole file, or by itself when a mistake elsewhere keeps the whole from being read."""
    text = read_text(path)
    try:
        table = parse(path, text).get("admin", {})
    except ConfigError:
        found = _ADMIN_TABLE.search(text)
        try:
            table = tomllib.loads(found[1]) if found else {}
        except (tomllib.TOMLDecodeError, RecursionError):
            table = {}
        if "bind" not in table:
            raise
    return table if isinstance(table, dict) else {}
