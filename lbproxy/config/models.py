"""The tables of the configuration file, with every key's type and default.

Times are seconds (float), sizes are bytes (int), paths are absolute. A TOML table [listener.NAME] is an entry of
`Config.listeners`. Validation takes a context `Base`, which says where relative paths begin.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    StrictBool,
    StrictInt,
    ValidationInfo,
)

from lbproxy.config import addresses
from lbproxy.config.addresses import Address, Network
from lbproxy.config.units import Duration, PositiveDuration, size_between

_T = TypeVar("_T")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TARGET = re.compile(r"/[!-~]*")
_PRINCIPAL = re.compile(r"[!-?A-~]+@[!-?A-~]+")
_STATUSES = re.compile(r"([1-5][0-9]{2})-([1-5][0-9]{2})")

_NOT_STRIPPABLE = frozenset({"connection", "content-length", "host", "transfer-encoding", "upgrade"})
"""Headers that frame or route a message (RFC 9112): without them a request would mean something else."""


@dataclass(frozen=True, slots=True)
class Base:
    """The validation context: the directory that relative paths are below."""

    directory: Path


def _directory(info: ValidationInfo) -> Path:
    assert isinstance(info.context, Base), "models are validated by load(), which passes a Base"
    return info.context.directory


def _file(value: object, info: ValidationInfo) -> Path:
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError("must be the path of a file")
    # Not resolved: certificates are often links that a renewal moves, and the link is what has to be read again.
    return _directory(info) / value


def _log_path(value: object, info: ValidationInfo) -> Path | str:
    return value if value in ("-", "") and isinstance(value, str) else _file(value, info)


def _bind(value: object, info: ValidationInfo) -> Address:
    return addresses.address(value, _directory(info))


def _local(bind: Address) -> Address:
    if not bind.is_local:
        raise ValueError(f"{bind} is not a Unix socket or a loopback address; the admin API has no other protection")
    return bind


def _workers(value: object) -> int | str:
    if value == "auto" or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
        return value
    raise ValueError('must be "auto" or a whole number of at least 1')


def _served_host(value: object) -> str:
    return "*" if value == "*" else addresses.host(value)


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError(f"{text!r} is not a name: at most 63 letters, digits, '-', '_' and '.'")
    return text


def _token(text: str) -> str:
    if not _TOKEN.fullmatch(text):
        raise ValueError(f"{text!r} is not an HTTP token (RFC 9110 section 5.6.2)")
    return text


def _strippable(text: str) -> str:
    name = _token(text).lower()
    if name in _NOT_STRIPPABLE:
        raise ValueError(f"{text!r} cannot be stripped: the request would change its meaning")
    return name


def _target(text: str) -> str:
    if not _TARGET.fullmatch(text) or "#" in text:
        raise ValueError(f"{text!r} is not a path that begins with /")
    return text


def _path_only(text: str) -> str:
    if "?" in text:
        raise ValueError(f"{text!r} must be a path without a query")
    return _target(text)


def _not_empty(entries: tuple[_T, ...]) -> tuple[_T, ...]:
    # pydantic's own minimum counts the valid entries only, and would speak up beside what is wrong with the others.
    if not entries:
        raise ValueError("needs at least one entry")
    return entries


def _statuses(value: object) -> frozenset[int]:
    if not isinstance(value, list) or not value:
        raise ValueError('must be a list of statuses such as [200, "300-399"]')
    return frozenset(status for item in value for status in _status_range(item))


def _status_range(item: object) -> range:
    if isinstance(item, int) and 100 <= item <= 599:
        return range(item, item + 1)
    match = _STATUSES.fullmatch(item) if isinstance(item, str) else None
    if match is None or int(match[1]) > int(match[2]):
        raise ValueError(f'{item!r} is not a status such as 401 or a range such as "200-299"')
    return range(int(match[1]), int(match[2]) + 1)


def _server_url(value: object) -> str:
    return addresses.origin(value, ("http", "https"))


def _backend_url(value: object) -> str:
    return addresses.origin(value, ("http", "https", "tcp"))


def _principal(text: str) -> str:
    if not _PRINCIPAL.fullmatch(text):
        raise ValueError(f"{text!r} is not a principal with its realm, such as HTTP/probe.corp.example@CORP.EXAMPLE")
    return text


def _spn(text: str) -> str:
    service, at, host = text.partition("@")
    if not at or not service.isalnum():
        raise ValueError(f"{text!r} is not a service and its host, such as HTTP@login.corp.example")
    return f"{service}@{addresses.host(host)}"


def _check_url(text: str) -> str:
    plain = text.replace("://{host}", "://host", 1)
    if "{" in plain or "}" in plain:
        raise ValueError(f"{text!r} may hold {{host}} in place of the host, and no other braces")
    if addresses.absolute_url(plain, ("http", "https")).fragment:
        raise ValueError(f"{text!r} must not hold a fragment (#)")
    return text


Name = Annotated[str, AfterValidator(_name)]
File = Annotated[Path, PlainValidator(_file)]
Bind = Annotated[Address, PlainValidator(_bind)]
Networks = tuple[Annotated[Network, PlainValidator(addresses.network)], ...]
Count = Annotated[StrictInt, Field(ge=1)]
CheckUrl = Annotated[str, AfterValidator(_check_url)]


class Table(BaseModel):
    """What every table shares: unknown keys are errors and values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class ListenerTls(Table):
    """[listener.NAME.tls]: TLS towards the clients of one listener."""

    certificate: File
    key: File
    minimum_version: Literal["1.2", "1.3"] = "1.2"
    client_certificate: Literal["none", "optional", "required"] = "none"
    client_identity: Literal["none", "rfc9440", "xfcc", "mint"] = "none"


class Listener(Table):
    """[listener.NAME]: an address that clients connect to. `hosts` is filled in by load() from server_url.

    `pool` is empty only where something else names the pools (mode sni).
    """

    bind: Bind
    mode: Literal["http", "tcp", "sni"] = "http"
    pool: str = ""
    tls: ListenerTls | None = None
    accept_proxy_protocol_from: Networks = ()
    trust_forwarded_from: Networks = ()
    allow: Networks = (ip_network("0.0.0.0/0"), ip_network("::/0"))
    hosts: Annotated[tuple[Annotated[str, BeforeValidator(_served_host)], ...], AfterValidator(_not_empty)] = ()
    deny_paths: tuple[Annotated[str, AfterValidator(_path_only)], ...] = ("/test-headers", "/test-iis")
    strip_headers: tuple[Annotated[str, AfterValidator(_strippable)], ...] = ()
    allow_underscores: StrictBool = False
    max_header_size: Annotated[int, BeforeValidator(size_between("1KiB", "1MiB"))] = 128 * 1024
    max_target_size: Annotated[int, BeforeValidator(size_between("256B", "1MiB"))] = 16 * 1024
    max_header_lines: Annotated[StrictInt, Field(ge=8, le=10_000)] = 256
    header_timeout: PositiveDuration = 10.0
    idle_timeout: PositiveDuration = 60.0
    max_connections: Count = 10_000


class Backend(Table):
    """An entry of `backends`: `url` is scheme://host[:port] as written; `check_url` overrides the pool's check.url."""

    name: Name
    url: Annotated[str, BeforeValidator(_backend_url)]
    check_url: CheckUrl | None = None


class PoolTls(Table):
    """[pool.NAME.tls]: TLS towards https backends; None is the system's CAs and the host of the backend's URL."""

    verify: StrictBool = True
    ca: File | None = None
    server_name: Annotated[str, BeforeValidator(addresses.host)] | None = None


class KerberosCheck(Table):
    """[pool.NAME.check.kerberos]: who signs in, with which key, and to which service."""

    principal: Annotated[str, AfterValidator(_principal)]
    keytab: File
    spn: Annotated[str, AfterValidator(_spn)]


class Check(Table):
    """[pool.NAME.check]: how the pool's backends are probed. `url`, if any, stands in for backend URL and `path`.

    `kerberos` is there if and only if `kind` is "kerberos".
    """

    kind: Literal["none", "tcp", "tls", "http", "kerberos"] = "http"
    url: CheckUrl | None = None
    method: Annotated[str, AfterValidator(_token)] = "GET"
    path: Annotated[str, AfterValidator(_target)] = "/"
    expect: Annotated[frozenset[int], PlainValidator(_statuses)] = frozenset({200, 302, 401})
    interval: PositiveDuration = 2.0
    timeout: PositiveDuration = 1.0
    rise: Count = 2
    fall: Count = 1
    kerberos: KerberosCheck | None = None


class Pool(Table):
    """[pool.NAME]: the set of backends that a listener forwards to."""

    backends: Annotated[tuple[Backend, ...], AfterValidator(_not_empty)]
    tls: PoolTls = PoolTls()
    check: Check = Check()
    send_proxy_protocol: Literal["none", "v1", "v2"] = "none"
    connect_timeout: PositiveDuration = 2.0
    response_timeout: PositiveDuration = 60.0
    idle_lane_timeout: PositiveDuration = 4.0
    consecutive_errors: Count = 3
    slow_start: Duration = 0.0
    when_all_down: Literal["try", "refuse"] = "try"
    retry_statuses: tuple[Annotated[StrictInt, Field(ge=500, le=599)], ...] = ()

    def probe_url(self, backend: Backend) -> str:
        """The absolute URL that an http probe of `backend` asks for."""
        url = backend.check_url or self.check.url or backend.url + self.check.path
        return url.replace("{host}", addresses.url_host(urlsplit(backend.url)), 1)


class AccessLog(Table):
    """[access_log]: `path` is "-" for standard output, "" for none, else a file."""

    path: Annotated[Path | Literal["-", ""], PlainValidator(_log_path)] = "-"


class Admin(Table):
    """[admin]: where status and metrics are served; reachable from this machine only."""

    bind: Annotated[Address, PlainValidator(_bind), AfterValidator(_local)] = Address(
        path=Path("/run/lbproxy/admin.sock")
    )


class Config(Table):
    """The whole file."""

    server_url: Annotated[str, BeforeValidator(_server_url)]
    workers: Annotated[int | Literal["auto"], PlainValidator(_workers)] = 1
    drain_timeout: Duration = 30.0
    listeners: Mapping[Name, Listener] = Field(alias="listener")
    pools: Mapping[Name, Pool] = Field(alias="pool")
    access_log: AccessLog = AccessLog()
    admin: Admin = Admin()

    @property
    def server_host(self) -> str:
        """The host of server_url in lower case, as a Host header has it, without port."""
        return addresses.url_host(urlsplit(self.server_url))
