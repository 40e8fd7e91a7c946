"""[listener.NAME]: an address that clients connect to."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_network
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StrictBool, StrictInt

from lbproxy.config import addresses
from lbproxy.config.models.table import Table
from lbproxy.config.models.values import Bind, Count, File, Networks, PositiveDuration, Target, Token, not_empty
from lbproxy.config.units import duration_between, size_between

_NOT_STRIPPABLE = frozenset({"connection", "content-length", "host", "transfer-encoding", "upgrade"})
"""Headers that frame or route a message (RFC 9112): without them a request would mean something else."""


def _served_host(value: object) -> str:
    return "*" if value == "*" else addresses.host(value)


def _strippable(name: str) -> str:
    if name.lower() in _NOT_STRIPPABLE:
        raise ValueError(f"{name!r} cannot be stripped: the request would change its meaning")
    return name.lower()


def _path_only(text: str) -> str:
    if "?" in text:
        raise ValueError(f"{text!r} must be a path without a query")
    return text


IdentityKind = Literal["none", "rfc9440", "xfcc", "mint"]


class CertificatePair(Table):
    """An entry of `additional`: one more certificate of the listener, for the names in it."""

    certificate: File
    key: File


class Mint(Table):
    """[listener.NAME.tls.mint]: the authority that signs short-lived certificates in users' names, for `lifetime`."""

    ca_certificate: File
    ca_key: File
    lifetime: Annotated[float, BeforeValidator(duration_between("1m", "24h"))] = 600.0


class ListenerTls(Table):
    """[listener.NAME.tls]: TLS towards the clients of one listener, and what of its users backends are told.

    The keys about clients are used only where `client_certificate` is not "none", and then there is a `client_ca`.
    """

    certificate: File
    key: File
    additional: tuple[CertificatePair, ...] = ()
    minimum_version: Literal["1.2", "1.3"] = "1.2"
    client_certificate: Literal["none", "optional", "required"] = "none"
    client_ca: File | None = None
    client_crl: tuple[File, ...] = ()
    client_identity: IdentityKind = "none"
    mint: Mint | None = None

    @property
    def asks_clients(self) -> bool:
        """Whether users are asked for a certificate."""
        return self.client_certificate != "none"

    @property
    def identity(self) -> IdentityKind:
        """How backends learn the user's name, if users are asked for certificates."""
        return self.client_identity if self.asks_clients else "none"

    @property
    def minting(self) -> Mint | None:
        """The mint, if it is used."""
        return self.mint if self.identity == "mint" else None


class Listener(Table):
    """[listener.NAME]: `hosts` of an http listener is filled in by load() from server_url.

    In mode sni, `sni` has the pool of each server name and `pool` is empty; in the others it is the other way round.
    """

    bind: Bind
    freebind: StrictBool = True
    mode: Literal["http", "tcp", "sni"] = "http"
    pool: str = ""
    sni: Mapping[Annotated[str, BeforeValidator(addresses.server_name)], str] = {}
    tls: ListenerTls | None = None
    accept_proxy_protocol_from: Networks = ()
    trust_forwarded_from: Networks = ()
    allow: Networks = (ip_network("0.0.0.0/0"), ip_network("::/0"))
    hosts: Annotated[tuple[Annotated[str, BeforeValidator(_served_host)], ...], AfterValidator(not_empty)] = ()
    deny_paths: tuple[Annotated[Target, AfterValidator(_path_only)], ...] = ("/test-headers", "/test-iis")
    strip_headers: tuple[Annotated[Token, AfterValidator(_strippable)], ...] = ()
    allow_underscores: StrictBool = False
    max_header_size: Annotated[int, BeforeValidator(size_between("1KiB", "1MiB"))] = 128 * 1024
    max_target_size: Annotated[int, BeforeValidator(size_between("256B", "1MiB"))] = 16 * 1024
    max_header_lines: Annotated[StrictInt, Field(ge=8, le=10_000)] = 256
    header_timeout: PositiveDuration = 10.0
    idle_timeout: PositiveDuration = 60.0
    max_connections: Count = 10_000
    max_connections_per_address: Count | None = None

    @property
    def pools(self) -> tuple[str, ...]:
        """The names of the pools that its clients may reach, each once."""
        return tuple(dict.fromkeys(self.sni.values())) if self.mode == "sni" else (self.pool,)
