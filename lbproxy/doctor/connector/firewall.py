"""From where PORT can be reached, as the rules of this host's firewall say it.

What is between hosts is not seen here: `lbproxy doctor --from-elsewhere` tries it, on a third host.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address
from typing import Any, NamedTuple

from lbproxy.control.host_addresses import host_addresses
from lbproxy.doctor.connector import nftables
from lbproxy.doctor.connector.listening import Socket, listeners
from lbproxy.doctor.connector.nftables import ACCEPT, DROP, Connection
from lbproxy.doctor.connector.sight import Settings, Sight
from lbproxy.doctor.finding import Finding, Found, UnseenError, ok, problem, unseen, warning
from lbproxy.ip_addresses import IpAddress

WHY = "Whoever reaches PORT gets past the balancer."

_FORGED = "A forged X-Forwarded-User there gives a signed token of any user, without a password."
_TRY = "on a host that is no balancer's: lbproxy doctor --from-elsewhere http://THIS_HOST:{port}"
_REPAIR = (
    "nft 'table inet connector {{ chain input {{ type filter hook input priority 0; policy accept;"
    ' iifname "lo" accept; tcp dport {port} ip saddr != BALANCER drop;'
    " tcp dport {port} meta nfproto ipv6 drop; }}; }}' (docs/connectors/auth0.md)"
)
_WITHIN = 2.0  # seconds
_ANYONE: Sequence[IpAddress] = (IPv4Address("203.0.113.77"), IPv6Address("2001:db8::cb00:714d"))
"""Addresses for documentation (RFC 5737, RFC 3849): no rule is about them, so they stand for all others."""


class Rules(NamedTuple):
    """Of this host: those of nftables as an object, and what iptables printed of those that nft does not see."""

    nft: dict[str, Any]
    iptables: str = ""


async def reach(sight: Sight) -> Found:
    """PORT is for the balancers only."""
    settings = await sight.settings()
    return list(await asyncio.to_thread(lambda: list(_reach(settings))))


def _reach(settings: Settings) -> Iterator[Finding]:
    number = settings.port
    sockets = listeners(number)
    if not sockets:
        raise UnseenError(f"nothing listens on PORT {number}")
    if all(one.address.is_loopback for one in sockets):
        yield ok(f"PORT {number} is reached from this host only")
        return
    rules = read_rules()
    if rules is None:
        told = f"PORT {number} listens for other hosts; this account may not read the firewall's rules"
        yield unseen(told, f"run doctor as root; or {_TRY.format(port=number)}")
        return
    yield judge(rules, number, versions(sockets), settings.believes_headers)


def versions(sockets: Sequence[Socket]) -> set[int]:
    """Of IP, by which other hosts may come: an IPv6 socket that has no address of its own takes IPv4 too (ipv6(7))."""
    found: set[int] = {one.address.version for one in sockets if not one.address.is_loopback}
    if any(one.address == IPv6Address("::") for one in sockets):
        found.add(4)
    with suppress(OSError):
        found &= {4} | {one.version for one in host_addresses() if not one.is_loopback}
    return found


def judge(rules: Rules, number: int, versions: set[int], dangerous: bool) -> Finding:
    """Whether others than those whom the rules name get to the port. dangerous: they could be any user."""
    anyone = [one for one in _ANYONE if one.version in versions]
    found = {one.version: _ends(rules, number, one) for one in anyone}
    opened = [version for version, possible in found.items() if possible == {ACCEPT}]
    if opened and not mentions(rules.iptables, number):
        by = " and ".join(f"IPv{version}" for version in opened)
        told = f"PORT {number}: the firewall here lets in everybody by {by}"
        kind = problem if dangerous else warning
        return kind(told, f"{WHY} {_FORGED}" if dangerous else WHY, _REPAIR.format(port=number))
    if any(possible != {DROP} for possible in found.values()):
        told = f"PORT {number}: the firewall here has rules that cannot be judged from here"
        return unseen(told, _TRY.format(port=number))
    return _closed(rules, number)


def _ends(rules: Rules, number: int, source: IpAddress) -> frozenset[str]:
    return nftables.ends(rules.nft, Connection(source, number))


def _closed(rules: Rules, number: int) -> Finding:
    named = nftables.sources(rules.nft)
    inside = [str(one) for one in named if ACCEPT in _ends(rules, number, one[0])]
    short = ", ".join(one.removesuffix("/32").removesuffix("/128") for one in inside)
    told = f"the firewall here lets in {short or 'no other host'}"
    return ok(f"PORT {number}: {told}{'; see that only balancers are among them' if inside else ''}")


def read_rules() -> Rules | None:
    """What the programs say that are there, and that this account may ask; None if there is none."""
    nft = _asked("nft", "-j", "list", "ruleset")
    kind = "" if nft is None else "-legacy"
    iptables = [_asked(f"{family}tables{kind}-save") for family in ("ip", "ip6")]
    if nft is None and None in iptables:
        return None
    return Rules(json.loads(nft or "{}"), "\n".join(filter(None, iptables)))


def _asked(*command: str) -> str | None:
    path = shutil.which(command[0], path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    if path is None:
        return None
    try:
        done = subprocess.run([path, *command[1:]], capture_output=True, text=True, timeout=_WITHIN, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def mentions(rules: str, number: int) -> bool:
    """Whether a rule of iptables is about the port, or what comes in is dropped unless a rule lets it in."""
    return bool(re.search(rf"^:INPUT DROP|dports? [^\n]*\b{number}\b", rules, re.MULTILINE))
