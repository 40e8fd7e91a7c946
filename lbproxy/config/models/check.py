"""[pool.NAME.check]: how a pool's backends are probed."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, PlainValidator

from lbproxy.config import addresses
from lbproxy.config.models.table import Table
from lbproxy.config.models.values import Count, File, PageUrl, PositiveDuration, Target, Token

_PRINCIPAL = re.compile(r"[!-?A-~]+@[!-?A-~]+")
_STATUSES = re.compile(r"([1-5][0-9]{2})-([1-5][0-9]{2})")


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


def with_realm(text: str) -> str:
    """A principal, NAME@REALM; raises ValueError."""
    if not _PRINCIPAL.fullmatch(text):
        raise ValueError(f"{text!r} is not a principal with its realm, such as svc-probe@CORP.EXAMPLE")
    return text


def _spn(text: str) -> str:
    service, at, host = text.partition("@")
    if not at or not service.isalnum():
        raise ValueError(f"{text!r} is not a service and its host, such as HTTP@login.corp.example")
    return f"{service}@{addresses.host(host)}"


def _subject(text: str) -> str:
    from cryptography import x509  # which most configurations need not load

    try:
        empty = not x509.Name.from_rfc4514_string(text).rdns
    except ValueError:
        empty = True
    if empty:
        raise ValueError(f'{text!r} is not the subject of a certificate, such as "CN=lbproxy probe,O=Corp" (RFC 4514)')
    return text


class KerberosCheck(Table):
    """[pool.NAME.check.kerberos]: the account that signs in, its key, and the service."""

    principal: Annotated[str, AfterValidator(with_realm)]
    keytab: File
    spn: Annotated[str, AfterValidator(_spn)]


CheckKind = Literal["none", "tcp", "tls", "http", "kerberos"]


class Check(Table):
    """[pool.NAME.check]: `url`, if any, stands in for backend URL and `path`.

    `identity` is the subject of the certificate that is minted for probes, where users' certificates are minted too;
    None is one that the mint's authority permits.

    `kerberos` is there if `kind` is "kerberos"; with another kind it is not used. See `Pool.probe_kind` too.
    """

    kind: CheckKind = "http"
    url: PageUrl | None = None
    method: Token = "GET"
    path: Target = "/"
    expect: Annotated[frozenset[int], PlainValidator(_statuses)] = frozenset({200, 302, 401})
    interval: PositiveDuration = 2.0
    timeout: PositiveDuration = 1.0
    rise: Count = 2
    fall: Count = 1
    identity: Annotated[str, AfterValidator(_subject)] | None = None
    kerberos: KerberosCheck | None = None
