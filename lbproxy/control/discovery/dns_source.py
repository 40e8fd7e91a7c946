"""`kind = "dns"`: the addresses of a name, or the targets of its SRV records."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import dns.message
import dns.rdatatype

from lbproxy.control.discovery.dns_members import Service, at_addresses, at_services, in_order
from lbproxy.control.discovery.dns_query import Found, Resolver
from lbproxy.control.discovery.source import Answer, Source, SourceError

AT_A_TIME = 20
"""Targets that are looked up at the same time."""


class _Dns(Source):
    name = "dns"

    def __init__(self, where: str, name: str, nameservers: Sequence[tuple[str, int]]) -> None:
        servers = ", ".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in nameservers)
        self.where = f"{where} at {servers}" if servers else where
        self._name = name
        self._resolver = Resolver(nameservers)

    def __repr__(self) -> str:
        return f"<dns source {self.where}>"


class AddressSource(_Dns):
    """Each address of `name`, A and AAAA, is a member at `port`."""

    def __init__(self, name: str, scheme: str, port: int, nameservers: Sequence[tuple[str, int]] = ()) -> None:
        super().__init__(f"{name} A AAAA, {scheme} port {port}", name, nameservers)
        self._scheme, self._port = scheme, port

    async def look(self, again: bool = False) -> Answer:
        """Raises SourceError when either question gets no answer: the other one's is only half of the truth."""
        await self._resolver.prepare()
        asking = (self._resolver.ask(self._name, kind) for kind in ("A", "AAAA"))
        found = [_good(one) for one in await asyncio.gather(*asking, return_exceptions=True)]
        there = [one for one in found if one.records]
        addresses = [address for one in there for address in _addresses(one)]
        good_for = min(one.ttl for one in there or found)  # that a type is not there matters if neither is
        return Answer(at_addresses(addresses, self._scheme, self._port), good_for)


class ServiceSource(_Dns):
    """Each target and port of the SRV records of `name` is a member, at one address of the target.

    It keeps the address that it has while the target has it, so that a further one moves no request.
    """

    def __init__(self, name: str, scheme: str, nameservers: Sequence[tuple[str, int]] = ()) -> None:
        super().__init__(f"{name} SRV, {scheme}", name, nameservers)
        self._scheme = scheme
        self._at: dict[str, str] = {}  # by target
        self._slots = asyncio.Semaphore(AT_A_TIME)

    async def look(self, again: bool = False) -> Answer:
        """A target that cannot be looked up stays where it was. Raises SourceError."""
        await self._resolver.prepare()
        found = await self._resolver.ask(self._name, "SRV")
        services = [
            Service(record.priority, record.weight, record.port, record.target.to_text(omit_final_dot=True).lower())
            for record in found.records or ()
        ]
        services = [one._replace(target="") if one.target == "." else one for one in services]
        targets = sorted({service.target for service in services if service.target})
        ttls = await asyncio.gather(*(self._locate(target, found.response) for target in targets))
        self._at = {target: at for target, at in self._at.items() if target in targets}
        members, left_out = at_services(services, self._at.get, self._scheme)
        return Answer(members, min([found.ttl, *ttls]), left_out)

    async def _locate(self, target: str, response: dns.message.Message | None) -> float:
        """Find the address of `target`, in what came with the answer or by asking; for how many seconds it is good."""
        addresses, ttl = _additional(target, response)
        if not addresses:
            try:
                async with self._slots:
                    found = [await self._resolver.ask(f"{target}.", kind) for kind in ("A", "AAAA")]
            except SourceError:
                return ttl
            there = [one for one in found if one.records]
            addresses = [address for one in there for address in _addresses(one)]
            ttl = min(one.ttl for one in there or found)
        if not addresses:
            self._at.pop(target, None)
        elif self._at.get(target) not in addresses:
            self._at[target] = in_order(addresses)[0]
        return ttl


def _good(found: Found | BaseException) -> Found:
    if isinstance(found, BaseException):
        raise found
    return found


def _addresses(found: Found) -> list[str]:
    return [record.address for record in found.records or ()]


def _additional(target: str, response: dns.message.Message | None) -> tuple[list[str], float]:
    """The addresses of `target` that the server has sent along, and for how long they are good."""
    kinds = (dns.rdatatype.A, dns.rdatatype.AAAA)
    sent = [
        rrset
        for rrset in ([] if response is None else response.additional)
        if rrset.rdtype in kinds and rrset.name.to_text(omit_final_dot=True).lower() == target
    ]
    return [record.address for rrset in sent for record in rrset], min((float(one.ttl) for one in sent), default=60.0)
