"""Sources of backends, as a measurement changes them."""

from __future__ import annotations

import asyncio
import getpass
import json
import os
import signal
import socket
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Mapping
from contextlib import ExitStack
from copy import copy
from pathlib import Path
from threading import Thread
from typing import Self
from urllib.parse import urlsplit

import dns.exception
import dns.message
import dns.query

from bench.processes import LOAD_CORE, Child, free_port, free_ports
from lbproxy.control.discovery.registry import Connector, connectors
from lbproxy.control.etcd import Access, Etcd
from tests.control.kubernetes.api_server import ApiServer, endpoint, endpoint_slice

POOL = "connectors"
FLEET = "bench"


class Place(ABC):
    """A source. Its members are URLs by name."""

    @property
    @abstractmethod
    def table(self) -> str:
        """[pool.NAME.discover], with all that belongs to it, once it is filled."""

    @abstractmethod
    async def fill(self, members: Mapping[str, str]) -> None:
        """Have exactly these."""

    @abstractmethod
    async def add(self, name: str, url: str) -> None:
        """One more."""

    @abstractmethod
    async def remove(self, name: str) -> None:
        """One less."""

    async def close(self) -> None:
        """Before its programs end."""
        return


class PairPlace(Place):
    """One that has another beside it."""

    @abstractmethod
    def aside(self) -> Self:
        """Another one, empty, whose changes cost its programs the same, and which lbproxy does not follow."""


class FilePlace(PairPlace):
    """A list in JSON, replaced by a rename."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self._path = directory / "backends.json"
        self._members: dict[str, str] = {}

    @property
    def table(self) -> str:
        return f'kind = "file"\npath = "{self._path}"'

    def aside(self) -> Self:
        other = copy(self)
        other._path, other._members = self._path.with_stem("aside"), {}
        return other

    async def fill(self, members: Mapping[str, str]) -> None:
        self._members = dict(members)
        self._write()

    async def add(self, name: str, url: str) -> None:
        self._members[name] = url
        self._write()

    async def remove(self, name: str) -> None:
        del self._members[name]
        self._write()

    def _write(self) -> None:
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps([{"name": name, "url": url} for name, url in self._members.items()]))
        new.rename(self._path)


class EtcdPlace(PairPlace):
    """The registry, in one etcd server; connectors as `lbproxy register` writes them, without its leases."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        client, peer = (f"http://127.0.0.1:{port}" for port in free_ports(2))
        command = [
            "etcd", "--name=bench", f"--data-dir={directory / 'etcd'}", "--log-level=error",
            f"--listen-client-urls={client}", f"--advertise-client-urls={client}", f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=bench={peer}",
        ]  # fmt: skip
        stack.enter_context(Child("etcd", command, LOAD_CORE, directory))
        self._url = client
        self._etcd = Etcd(Access((client,)))
        self._prefix = connectors(FLEET, POOL)

    @property
    def table(self) -> str:
        return f'kind = "etcd"\n[fleet]\nname = "{FLEET}"\netcd = ["{self._url}"]'

    def aside(self) -> Self:
        other = copy(self)
        other._prefix = connectors(FLEET, f"{POOL}-aside")
        return other

    async def fill(self, members: Mapping[str, str]) -> None:
        for name, url in members.items():
            await self._put(name, url)

    async def add(self, name: str, url: str) -> None:
        await self._put(name, url)

    async def remove(self, name: str) -> None:
        await self._etcd.delete(self._prefix + name)

    async def close(self) -> None:
        await self._etcd.close()

    async def _put(self, name: str, url: str) -> None:
        """Repeatable, and with time for a server that starts."""
        await self._etcd.put(self._prefix + name, Connector(url).encode(), repeatable=True, within=20)


class DnsPlace(Place):
    """Addresses of one name, served by dnsmasq with a TTL of a second. All members have one port."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self._port, self._hosts, empty = free_port(), directory / "hosts", directory / "dnsmasq.conf"
        self._members: dict[str, str] = {}
        self._hosts.write_text("")
        empty.write_text("")  # or it reads the one of the host
        command = [
            "/usr/sbin/dnsmasq", "--keep-in-foreground", f"--conf-file={empty}", "--pid-file=",
            f"--user={getpass.getuser()}", "--no-resolv", "--no-hosts", "--bind-interfaces",
            "--listen-address=127.0.0.1", f"--port={self._port}", f"--addn-hosts={self._hosts}", "--local=/test/",
            "--local-ttl=1",
        ]  # fmt: skip
        self._child = stack.enter_context(Child("dnsmasq", command, LOAD_CORE, directory))

    @property
    def table(self) -> str:
        port = next(iter(self._members.values())).rpartition(":")[2]
        return f'kind = "dns"\nname = "c.test."\nport = {port}\nnameservers = ["127.0.0.1:{self._port}"]'

    async def fill(self, members: Mapping[str, str]) -> None:
        self._members = dict(members)
        self._serve()

    async def add(self, name: str, url: str) -> None:
        self._members[name] = url
        self._serve()

    async def remove(self, name: str) -> None:
        del self._members[name]
        self._serve()

    def _serve(self) -> None:
        """Until it is served: what dnsmasq takes is no part of lbproxy's time."""
        self._hosts.write_text("".join(f"{name} c.test\n" for name in self._members))
        self._child.wait_until(lambda: self._asked() is not None)
        os.kill(self._child.pids()[0], signal.SIGHUP)
        self._child.wait_until(lambda: self._asked() == self._members.keys())

    def _asked(self) -> set[str] | None:
        query = dns.message.make_query("c.test.", "A")
        try:
            response, _ = dns.query.udp_with_fallback(query, "127.0.0.1", timeout=0.2, port=self._port)
        except (OSError, dns.exception.DNSException):
            return None
        return {record.to_text() for rrset in response.answer for record in rrset}


class KubernetesPlace(Place):
    """EndpointSlices of one Service, at the API server of the tests: it runs in a thread. All members have one port."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self._loop, self._directory = asyncio.new_event_loop(), directory
        thread = Thread(target=self._loop.run_forever, name="API server")
        thread.start()
        stack.callback(self._loop.close)
        stack.callback(thread.join)
        stack.callback(self._loop.call_soon_threadsafe, self._loop.stop)
        self._server = ApiServer(directory)
        self._there(self._server.start())
        stack.callback(lambda: self._there(self._server.stop()))
        self._members: dict[str, str] = {}

    @property
    def table(self) -> str:
        config = self._server.kubeconfig(self._directory / "kubeconfig")
        return f'kind = "kubernetes"\nservice = "connectors"\nport = "http"\nkubeconfig = "{config}"'

    async def fill(self, members: Mapping[str, str]) -> None:
        self._members = dict(members)
        self._put()

    async def add(self, name: str, url: str) -> None:
        self._members[name] = url
        self._put()

    async def remove(self, name: str) -> None:
        del self._members[name]
        self._put()

    def _put(self) -> None:
        urls = {name: urlsplit(url) for name, url in self._members.items()}
        pods = [endpoint(name, str(url.hostname)) for name, url in urls.items()]
        [port] = {int(url.port or 0) for url in urls.values()}

        async def put() -> None:
            self._server.put(endpoint_slice("connectors-1", *pods, port=port))

        self._there(put())

    def _there(self, doing: Coroutine[object, object, None]) -> None:
        asyncio.run_coroutine_threadsafe(doing, self._loop).result()


PAIRS: Mapping[str, type[FilePlace | EtcdPlace]] = {"file": FilePlace, "etcd": EtcdPlace}
PLACES: Mapping[str, type[FilePlace | EtcdPlace | DnsPlace | KubernetesPlace]] = {
    **PAIRS,
    "dns": DnsPlace,
    "kubernetes": KubernetesPlace,
}


def listening(stack: ExitStack, addresses: list[str]) -> int:
    """Accept on one port of all `addresses`, as far as a probe of the kind tcp sees; that port."""
    port = free_port()
    for address in addresses:
        stack.enter_context(socket.create_server((address, port), backlog=1024))
    return port
