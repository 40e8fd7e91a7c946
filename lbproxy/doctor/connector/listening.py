"""PORT of a connector: who listens there, and whether it answers."""

from __future__ import annotations

import asyncio
import os
import re
import ssl
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import NamedTuple

from lbproxy.doctor.connector.sight import Settings, Sight
from lbproxy.doctor.finding import Finding, Found, ok, problem, warning
from lbproxy.instance import processes
from lbproxy.ip_addresses import IpAddress

WHY = "The balancer gets no answer; the tenant takes the process for a connector all the same."
WHY_CONSOLE = "Its /export hands out the private key, without a sign-in."

_START = "systemctl start the connector; its log says why it ended (LDAP away: with status 0)"
_CONSOLE, _HEALTHZ = 8357, 8080
_WITHIN = 2.0  # seconds
_LISTENS = "0A"  # the state in /proc/net/tcp (proc(5))
_PROC = Path("/proc")


class Socket(NamedTuple):
    """One that listens; `pid` None: nobody of whom this account may know."""

    address: IpAddress
    pid: int | None


def listeners(port: int) -> list[Socket]:
    """The sockets that listen on a port of this host."""
    found = []
    for name in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in (_PROC / "net" / name).read_text().splitlines()[1:]:
                words = line.split()
                host, _, number = words[1].partition(":")
                if words[3] == _LISTENS and int(number, 16) == port:
                    found.append(Socket(_address(host), _owner(words[9])))
    return found


def _address(word: str) -> IpAddress:
    """As the kernel writes it: words of 32 bits in the host's order."""
    raw = bytes.fromhex(word)
    found = ip_address(b"".join(raw[at : at + 4][::-1] for at in range(0, len(raw), 4)))
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found


def _owner(inode: str) -> int | None:
    for path in _PROC.glob("[0-9]*"):
        with suppress(OSError):
            if any(os.readlink(entry) == f"socket:[{inode}]" for entry in (path / "fd").iterdir()):  # noqa: PTH115
                return int(path.name)
    return None


async def port(sight: Sight) -> Found:
    """Somebody listens, it is the connector, and it answers."""
    settings = await sight.settings()
    number = settings.port
    sockets = await asyncio.to_thread(listeners, number)
    if not sockets:
        return [_nobody(settings)]
    own = {one.pid for one in await asyncio.to_thread(processes.running, sight.asked.where.directory, "server.js")}
    others = {one.pid for one in sockets} - {None} - own
    if own and others:
        told = f"PORT {number} is taken by process {', '.join(map(str, sorted(filter(None, others))))}"
        repair = f"ss -ltnp 'sport = :{number}'; end it, or set another PORT, and restart the connector"
        return [problem(f"{told}, which is not the connector", repair=repair)]
    return [await _answers(number, bool(settings.text("CLIENT_CERT_AUTH")))]


def _nobody(settings: Settings) -> Finding:
    """Why nothing listens, if the settings say it: its server.js goes by them."""
    told = f"nothing listens on PORT {settings.port}"
    if settings.text("CLIENT_CERT_AUTH") or settings.text("KERBEROS_DEBUG_USER"):
        return problem(told, repair=_START)
    if not settings.text("KERBEROS_AUTH"):
        why = "with neither KERBEROS_AUTH nor CLIENT_CERT_AUTH the connector listens nowhere"
        repair = "switch Kerberos or client certificates on for the connection, at the tenant; restart the connector"
        return problem(f"{told}: {why}", repair=repair)
    if not settings.text("WITH_KERBEROS_PROXY_FRONTEND"):
        why = "with KERBEROS_AUTH, and without WITH_KERBEROS_PROXY_FRONTEND, it listens on Windows only"
        return problem(f"{told}: {why}", repair='"WITH_KERBEROS_PROXY_FRONTEND": true in config.json; restart it')
    return problem(told, repair=_START)


async def healthz(sight: Sight) -> Found:
    """Of Apono's connector."""
    return [await _answers(_HEALTHZ, False, "/healthz")]


async def _answers(number: int, tls: bool, path: str = "/wsfed") -> Finding:
    context = None
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    reader = None
    try:
        async with asyncio.timeout(_WITHIN):
            reader, writer = await asyncio.open_connection("localhost", number, ssl=context)
            try:
                writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
                line = (await reader.readline()).decode("latin-1").strip()
            finally:
                writer.close()
    except TimeoutError:
        if reader is None:
            told = f"port {number}: no connection from this host itself within {_WITHIN:g} s"
            why = "The connector hangs, or the firewall drops what the host sends to itself: then this says nothing."
            return warning(told, why, 'nft insert rule inet connector input iifname "lo" accept; the connector\'s log')
        told = f"port {number} accepts, and does not answer within {_WITHIN:g} s"
        return problem(told, repair="restart the connector; its log; is LDAP away?")
    except ValueError:  # a line that is too long
        line = ""
    except OSError as error:
        return problem(f"port {number}: {error.strerror or error}", repair="the connector's log")
    if not (match := re.match(r"HTTP/1\.[01] ([0-9]{3})", line)):
        return problem(f"what answers on port {number} does not speak HTTP", repair=f"ss -ltnp 'sport = :{number}'")
    kind = warning if match[1].startswith("5") else None
    told = f"port {number} answers {path} with {match[1]}"
    return kind(told, "The connector has a fault of its own.", "its log") if kind else ok(told)


def console(sight: Sight) -> Iterator[Finding]:
    """The admin console of the connector, which should not be there but while it is needed."""
    sockets = listeners(_CONSOLE)
    if any(not one.address.is_loopback for one in sockets):
        yield problem(f"port {_CONSOLE} listens on other addresses than those of this host", repair="stop it")
    elif sockets:
        told = f"the admin console runs on port {_CONSOLE}; every account of this host may use it"
        yield warning(told, repair="stop it when it is not needed")
    else:
        yield ok("the admin console does not run")
