"""The whole file, and the tables in it that belong to no listener and no pool."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, PrivateAttr

from lbproxy.config import addresses
from lbproxy.config.addresses import Address
from lbproxy.config.admin_default import admin_default
from lbproxy.config.lines import Lines
from lbproxy.config.models.admin_web import AdminWeb
from lbproxy.config.models.fleet import Fleet
from lbproxy.config.models.listener import Listener, Mint
from lbproxy.config.models.log import AccessLog, Log
from lbproxy.config.models.pool import Pool
from lbproxy.config.models.table import Table
from lbproxy.config.models.tracing import Tracing
from lbproxy.config.models.values import Bind, Duration, Name, NotEmpty
from lbproxy.errors import Problem
from lbproxy.ip_addresses import IpAddress


def _server_url(value: object) -> str:
    return addresses.origin(value, ("http", "https"))


_MOST_WORKERS = 256
"""Beyond that it is a mistyped number, which would start as many processes."""


_LEAVE_WITHIN = 10.0
"""Seconds that virtual addresses have to move: a program that moves them asks every second."""


def _workers(value: object) -> int | str:
    if value == "auto" or (isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _MOST_WORKERS):
        return value
    raise ValueError(f'must be "auto" or a whole number from 1 to {_MOST_WORKERS}')


def _local(bind: Address) -> Address:
    if not bind.is_local:
        raise ValueError(f"{bind} is not a Unix socket or a loopback address; the admin API has no other protection")
    return bind


_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")


def _request_id(value: str) -> str:
    if value and not _HEADER.fullmatch(value):
        raise ValueError(f"{value!r} is not the name of a header: a letter, and up to 63 more, digits and '-'")
    return value


class Admin(Table):
    """[admin]: where status and metrics are served, reachable from this machine only.

    `health` and `metrics` answer every client that reaches them, and tell no secrets. `web` is
    for whoever signs in.
    """

    bind: Annotated[Bind, AfterValidator(_local)] = Field(default_factory=admin_default)
    health: Bind | None = None
    metrics: Bind | None = None
    web: AdminWeb | None = None


class Config(Table):
    """The whole file."""

    server_url: Annotated[str, BeforeValidator(_server_url)]
    workers: Annotated[int | Literal["auto"], PlainValidator(_workers)] = 1
    drain_timeout: Duration = 30.0
    virtual_addresses: tuple[Annotated[IpAddress, PlainValidator(addresses.virtual)], ...] = ()
    leave_timeout: Duration | None = None
    user: NotEmpty | None = None
    group: NotEmpty | None = None
    request_id: Annotated[str, AfterValidator(_request_id)] = "X-Request-ID"
    listeners: Mapping[Name, Listener] = Field(alias="listener")
    pools: Mapping[Name, Pool] = Field(alias="pool")
    log: Log = Log()
    access_log: AccessLog = AccessLog()
    admin: Admin = Admin()
    tracing: Tracing | None = None
    fleet: Fleet | None = None

    _warnings: tuple[Problem, ...] = PrivateAttr(default=())
    _lines: Lines = PrivateAttr(default_factory=Lines)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """What is in the file and not used."""
        return self._warnings

    def read_from(self, lines: Lines, warnings: Iterable[Problem]) -> Self:
        """The same configuration with these `warnings`, and the lines of the file that it comes from."""
        copy = self.model_copy()
        copy._warnings = tuple(lines.located(warnings))
        copy._lines = lines
        return copy

    def located(self, problems: Iterable[Problem]) -> list[Problem]:
        """`problems` with the lines of their keys in the file."""
        return list(self._lines.located(problems))

    def mints(self, pool: str) -> Mapping[str, Mint]:
        """Those with which users' certificates are minted for the backends of `pool`, by the listener's name."""
        minting = {name: listener.tls.minting for name, listener in self.listeners.items() if listener.tls is not None}
        return {name: mint for name, mint in minting.items() if mint is not None and self.listeners[name].pool == pool}

    @property
    def leave_within(self) -> float:
        """Seconds of `leave_timeout`; unless it is set, there is something to wait for only with virtual addresses."""
        if self.leave_timeout is not None:
            return self.leave_timeout
        return _LEAVE_WITHIN if self.virtual_addresses else 0.0

    @property
    def worker_count(self) -> int:
        """`workers` as a number; "auto" is one for each processor that this process may use."""
        return len(os.sched_getaffinity(0)) if isinstance(self.workers, str) else self.workers

    @property
    def server_host(self) -> str:
        """The host of server_url in lower case, as a Host header has it, without port."""
        return addresses.url_host(urlsplit(self.server_url))
