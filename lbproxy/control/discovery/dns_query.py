"""One question to name servers, over dnspython: records and for how long they are good, or why there are none."""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from typing import NamedTuple

import dns.asyncresolver
import dns.exception
import dns.message
import dns.name
import dns.nameserver
import dns.rdatatype
import dns.resolver
import dns.rrset

from lbproxy.control.discovery.source import SourceError

LIFETIME = 5.0
"""Seconds for one question, all servers and repetitions together."""

A_TRY = 1.5
"""Seconds for one packet's answer."""

PAYLOAD = 1232
"""Bytes of a UDP answer: what passes everywhere unfragmented (DNS flag day 2020). Longer ones come over TCP."""


class Found(NamedTuple):
    """Records of one type, none if the name or the type is not there; `ttl` in seconds (RFC 2308 if there are none).

    `response` is the whole message, None if the name does not exist.
    """

    records: dns.rrset.RRset | None
    ttl: float
    response: dns.message.Message | None


class Resolver:
    """Asks `nameservers` (host and port), or those of the host if there are none."""

    def __init__(self, nameservers: Sequence[tuple[str, int]] = ()) -> None:
        self._nameservers = tuple(nameservers)
        self._resolver: dns.asyncresolver.Resolver | None = None

    def __repr__(self) -> str:
        return f"<resolver at {self._nameservers or 'the servers of the host'}>"

    async def prepare(self) -> None:
        """Read /etc/resolv.conf again, or look up the servers' own names. Raises SourceError."""
        try:
            resolver = dns.asyncresolver.Resolver(configure=not self._nameservers)
        except dns.exception.DNSException as error:
            raise SourceError(f"/etc/resolv.conf: {error}") from None
        if self._nameservers:
            resolver.nameservers = [
                dns.nameserver.Do53Nameserver(await _address(host), port) for host, port in self._nameservers
            ]
        resolver.lifetime, resolver.timeout = LIFETIME, A_TRY
        resolver.use_edns(0, 0, PAYLOAD)
        self._resolver = resolver

    async def ask(self, name: str, kind: str) -> Found:
        """The records of `kind` (A, AAAA or SRV) at `name`, through CNAMEs. Raises SourceError.

        Search domains of the host are tried, unless the name ends with a dot.
        """
        assert self._resolver is not None, "prepare() comes first"
        relative = not name.endswith(".") and not self._nameservers
        try:
            answer = await self._resolver.resolve(name, kind, raise_on_no_answer=False, search=relative)
        except dns.resolver.NXDOMAIN as error:
            responses: Iterable[dns.message.Message] = error.kwargs["responses"].values()
            return Found(None, min(map(_negative_ttl, responses), default=math.inf), None)
        except (dns.exception.DNSException, OSError, ValueError) as error:
            raise SourceError(f"{name} {kind}: {_why(error)}") from None
        if answer.rrset is None:
            _refuse_of_others(answer, name, kind)
            return Found(None, _negative_ttl(answer.response), answer.response)
        return Found(answer.rrset, float(answer.chaining_result.minimum_ttl), answer.response)


async def _address(host: str) -> str:
    try:
        return str(ip_address(host))
    except ValueError:
        pass
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    except OSError as error:
        raise SourceError(f"name server {host}: {error.strerror}") from None
    return str(found[0][4][0])


def _negative_ttl(response: dns.message.Message) -> float:
    """For how long it is known that there is nothing (RFC 2308 section 5); without a SOA, nothing is said of that."""
    if not any(rrset.rdtype == dns.rdatatype.SOA for rrset in response.authority):
        return math.inf
    return float(response.resolve_chaining().minimum_ttl)  # type: ignore[attr-defined] # a query's answer has it


def _refuse_of_others(answer: dns.resolver.Answer, name: str, kind: str) -> None:
    """Records, but of another name than what was asked for, or leads from there, are no answer at all."""
    chain = {answer.qname, answer.canonical_name, *(rrset.name for rrset in answer.chaining_result.cnames)}
    others = {rrset.name for rrset in answer.response.answer} - chain
    if others:
        raise SourceError(f"{name} {kind}: the server has answered for {min(others).to_text()} instead")


def _why(error: Exception) -> str:
    if isinstance(error, dns.resolver.LifetimeTimeout):
        return f"no answer within {LIFETIME:g} s"
    if isinstance(error, dns.resolver.NoNameservers):
        reasons = {str(one[3]) or type(one[3]).__name__ for one in error.kwargs["errors"]}  # such as SERVFAIL
        return ", ".join(sorted(reasons))
    return str(error) or type(error).__name__
