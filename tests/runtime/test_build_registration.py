"""A registration with its signals and its check, against a real etcd and real connectors."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from lbproxy.config import Fleet
from lbproxy.control.discovery import registry
from lbproxy.control.discovery.registry import Connector
from lbproxy.control.etcd import Access, Etcd
from lbproxy.runtime.build_registration import Wanted, register
from tests.control.probes.backends import answering, listening

UNAUTHORIZED = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize("check", ["tcp", "http://127.0.0.1:{port}/login"])
async def test_it_registers_and_leaves_when_it_is_told_to_end(etcd_url: str, check: str) -> None:
    fleet = Fleet(name=f"eu{os.getpid()}{len(check)}", etcd=(etcd_url,))
    etcd = Etcd(Access((etcd_url,)))
    async with listening(answering(UNAUTHORIZED)) as port, etcd.mirror(registry.connectors(fleet.name, "p")) as mirror:
        assert (await mirror.next()).values == {}
        url = f"http://127.0.0.1:{port}"
        wanted = Wanted("p", "c1", url, check.format(port=port), {"version": "1.8.0"})
        running = asyncio.create_task(register(fleet, wanted))
        [value] = (await mirror.next()).values.values()
        found = Connector.decode(value.value)
        assert (found.url, found.facts) == (url, {"version": "1.8.0"})
        assert found.by.startswith(f"pid {os.getpid()} on ")
        signal.raise_signal(signal.SIGTERM)
        await running
        [value] = (await mirror.next()).values.values()
        assert Connector.decode(value.value).state == "leaving"
        assert (await mirror.next()).values == {}
    await etcd.close()
