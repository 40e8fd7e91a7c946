"""`lbproxy register`: from [fleet] and what was asked for to a registration that runs."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from uuid import uuid4

from lbproxy import config as settings
from lbproxy.control.discovery.registration import Place, Registration
from lbproxy.control.discovery.registry import Connector
from lbproxy.control.probes import Probe
from lbproxy.control.probes.http import HttpProbe
from lbproxy.control.probes.sockets import Sockets, place
from lbproxy.control.probes.tcp import TcpProbe
from lbproxy.runtime.backend_tls import context
from lbproxy.runtime.build_etcd import connect
from lbproxy.wire.hosts import port_of

TIMEOUT = 1.0
"""Seconds that the local check may take."""

TCP = "tcp"
"""The check that only connects."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A connector as its administrator describes it: `check` is `TCP` or a URL, `drain_timeout` is in seconds."""

    pool: str
    name: str
    url: str
    check: str = TCP
    facts: Mapping[str, str] = field(default_factory=dict)
    drain_timeout: float = 30.0


async def register(fleet: settings.Fleet, wanted: Wanted) -> None:
    """Serve until TERM or INT, and then until it is drained. Raises StartError and NameTakenError."""
    end = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end.set)
    await register_until(end, fleet, wanted)


async def register_until(end: asyncio.Event, fleet: settings.Fleet, wanted: Wanted) -> None:
    """The same until `end` is set."""
    sockets, etcd = Sockets(), connect(fleet)
    connector = Connector(
        wanted.url, wanted.facts, f"pid {os.getpid()} on {socket.gethostname()}", uuid4().hex, time.time()
    )
    where = Place(fleet.name, wanted.pool, wanted.name)
    try:
        registration = Registration(etcd, where, connector, _check(sockets, wanted), fleet.lease)
        await registration.run(end, wanted.drain_timeout)
    finally:
        await etcd.close()
        sockets.close()


def _check(sockets: Sockets, wanted: Wanted) -> Probe:
    """A page is asked for as balancers do by default; who serves it is this host, so its certificate proves nothing."""
    if wanted.check == TCP:
        parts = urlsplit(wanted.url)
        return TcpProbe(sockets, place(parts.hostname or "", port_of(parts)), TIMEOUT)
    parts = urlsplit(wanted.check)
    secure = parts.scheme == "https"
    return HttpProbe(
        sockets,
        wanted.check,
        parts.netloc,
        TIMEOUT,
        expect=settings.Check().expect,
        tls=context(settings.PoolTls(), verify=False) if secure else None,
    )
