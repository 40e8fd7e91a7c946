"""[log] and [access_log]: where lbproxy's own lines go, and those of requests."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import PlainValidator, ValidationInfo

from lbproxy.config import addresses
from lbproxy.config.models.table import Table
from lbproxy.config.models.values import file_path

_FORMS = '"journald", "syslog:/PATH" or "syslog:udp://HOST:PORT"'


def _log_path(value: object, info: ValidationInfo) -> Path | str:
    return value if value in ("-", "") and isinstance(value, str) else file_path(value, info)


def _to(value: object, other: str) -> str:
    if value in (other, "journald") and isinstance(value, str):
        return value
    if not isinstance(value, str) or not value.startswith("syslog:"):
        raise ValueError(f'must be "{other}", {_FORMS}')
    address = value.removeprefix("syslog:")
    if address.startswith("/"):
        if "\0" in address or len(address.encode()) > _LONGEST_SOCKET:
            raise ValueError(f"{address!r} cannot be the path of a Unix socket")
        return value
    parts = addresses.absolute_url(address, ("udp",))
    if parts.path or parts.query or parts.fragment or address.endswith(("?", "#")):
        raise ValueError(f"{value!r} must end after the host and port")
    return value


_LONGEST_SOCKET = 107
"""Bytes of a Unix socket's path (unix(7))."""


class Log(Table):
    """[log]: `to` is "stderr", "journald", "syslog:/PATH" or "syslog:udp://HOST:PORT"."""

    to: Annotated[str, PlainValidator(lambda value: _to(value, "stderr"))] = "stderr"


class AccessLog(Table):
    """[access_log]: `path` is "-" for standard output, "" for none, else a file.

    `to` is "", or as in [log] what takes the lines in the place of `path`.
    """

    path: Annotated[Path | Literal["-", ""], PlainValidator(_log_path)] = "-"
    to: Annotated[str, PlainValidator(lambda value: _to(value, ""))] = ""
