"""[pool.NAME.discover]: one source of backends beside those of the file."""

from __future__ import annotations

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, PlainValidator, ValidationInfo

from lbproxy.config import addresses
from lbproxy.config.addresses import Address
from lbproxy.config.models.table import Table
from lbproxy.config.models.values import Duration, File, PositiveDuration, file_path

DNS_PORT = 53

_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_OBJECT_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_PORT_NAME = re.compile(r"(?![0-9]+$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_NAME_LENGTH = 253
"""RFC 1035 section 2.3.4, without the dot at the end."""


def _domain_name(text: str) -> str:
    """RFC 1035 section 2.3.1, and the underscores of SRV (RFC 2782)."""
    name = text.removesuffix(".")
    if len(name) > _NAME_LENGTH or not all(_LABEL.fullmatch(label) for label in name.split(".")):
        raise ValueError(f"{text!r} is not a DNS name such as connectors.corp.example or _login._tcp.corp.example")
    return text


def _port(value: object) -> int | str:
    if isinstance(value, int) and not isinstance(value, bool):
        if not 1 <= value <= 65535:
            raise ValueError("must be at least 1" if value < 1 else "must be at most 65535")
        return value
    if not isinstance(value, str) or not _PORT_NAME.fullmatch(value):
        raise ValueError("must be a whole number, or the name of a port such as http")
    return value


def _object_name(text: str) -> str:
    """RFC 1123 section 2.1, as Kubernetes has it for namespaces and services."""
    if not _OBJECT_NAME.fullmatch(text):
        raise ValueError(f"{text!r} is not a name in Kubernetes: small letters, digits and '-', at most 63")
    return text


def _kubeconfig(value: object, info: ValidationInfo) -> Path | None:
    return None if value == "" else file_path(value, info)


def _nameserver(value: object) -> Address:
    if not isinstance(value, str):
        raise ValueError("must be a string")
    try:
        return Address(str(ip_address(value.strip("[]"))), DNS_PORT)
    except ValueError:
        with_port = value if ":" in value else f"{value}:{DNS_PORT}"
    if value.startswith("unix:"):
        raise ValueError(f"{value!r} is not an address, or address:port, of a name server")
    found = addresses.address(with_port, addresses.NOWHERE)
    if not found.port:
        raise ValueError(f"{value!r} has no usable port")
    return found


ObjectName = Annotated[str, AfterValidator(_object_name)]
"""Of a namespace or a Service."""


class Discover(Table):
    """[pool.NAME.discover]: which keys belong to which `kind` is a matter of `checks.discover`.

    `name` with a dot at its end is absolute: no search domain is tried. `kubeconfig` None is the pod's own account.
    """

    kind: Literal["dns", "file", "etcd", "kubernetes"]
    interval: PositiveDuration = 30.0
    on_empty: Literal["keep", "accept"] = "keep"
    empty_after: Duration = 30.0
    scheme: Literal["http", "https", "tcp"] = "http"
    name: Annotated[str, AfterValidator(_domain_name)] | None = None
    record: Literal["address", "srv"] = "address"
    port: Annotated[int | str | None, PlainValidator(_port)] = None
    nameservers: tuple[Annotated[Address, PlainValidator(_nameserver)], ...] = ()
    path: File | None = None
    namespace: ObjectName | None = None
    service: ObjectName | None = None
    kubeconfig: Annotated[Path | None, PlainValidator(_kubeconfig)] = None
