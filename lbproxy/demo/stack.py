"""The whole thing on 127.0.0.1: three sample connectors, a realm, certification authorities, and one balancer or two.

    async with DemoStack(directory, port, kerberos=True, tell=print) as stack:
        ...                   # stack.server_url answers, and stack.passthrough_url
        await stack.watch()    # until cancelled; starts killed connectors again

Everything that runs is a child of this process and has ended when the block is left; every file is in `directory`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from lbproxy import program
from lbproxy.demo.authority import Authority, write_bundle, write_private
from lbproxy.demo.children import Child
from lbproxy.demo.configuration import Probe, Replica, configuration
from lbproxy.demo.ports import LOOPBACK, free_port
from lbproxy.demo.realm import Realm
from lbproxy.demo.shell import write_env
from lbproxy.demo.store import etcd
from lbproxy.errors import StartError

HOST = "login.corp.example"
USER = "alice"  # signs in with a ticket
CERTIFICATE_USER = "bob"
PROBE = "HTTP/probe.corp.example"
CONNECTORS = ("c1", "c2", "c3")
REPLICAS = (("lb1", "lbproxy.toml"), ("lb2", "lb2.toml"))  # the balancers, with their configurations
RESTART_AFTER = 10.0  # seconds that a killed connector stays dead, so that its readmission can be watched


class DemoStack:
    """`tell` is given one line for people about everything that happens while it runs."""

    CERTIFICATE = f"{CERTIFICATE_USER}.pem"
    """In the directory: the user's certificate and its key."""

    def __init__(
        self,
        directory: Path,
        port: int,
        kerberos: bool,
        tell: Callable[[str], None],
        restart_after: float = RESTART_AFTER,
        etcd: str | None = None,
    ) -> None:
        """etcd: the program; with it there are two balancers, which share their orders."""
        self.directory = directory.absolute()
        self.ports = [free_port(port)]  # of each balancer two: where TLS ends, and where it passes through
        for _ in range(1 if etcd is None else 3):
            self.ports.append(free_port(self.ports[-1] + 1))
        self.server_url, self.passthrough_url = (f"https://{HOST}:{port}" for port in self.ports[:2])
        self.second_url = None if etcd is None else f"https://{HOST}:{self.ports[2]}"
        self.ca = self.directory / "authority" / "ca.pem"
        self.ticket: dict[str, str] | None = None  # the environment of USER's ticket; None without Kerberos
        self.connectors: list[Child] = []
        self.balancers: list[Child] = []
        self._etcd = etcd
        self._kerberos = kerberos
        self._tell = tell
        self._restart_after = restart_after
        self._stack = AsyncExitStack()

    def __repr__(self) -> str:
        return f"<DemoStack {self.server_url} {self.connectors}>"

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Raises StartError when a part does not start. However it ends, and if it is cancelled, stop() is due."""
        options = self._certificates()
        # This blocks the loop for some 50 ms, and nothing else runs on it yet.
        realm = self._stack.enter_context(Realm(self.directory / "realm")) if self._kerberos else None
        ports = await self._start_connectors(options, realm)
        await self._start_balancers(ports, realm)
        write_env(self.directory, self.ca, [f"{HOST}:{port}" for port in self.ports], self.ticket or {})

    async def stop(self) -> None:
        """Ends everything that start() has started, the balancers first."""
        await self._stack.aclose()

    async def watch(self) -> None:
        """Starts connectors again when they end; raises StartError when a balancer ends. Runs until cancelled."""
        watchers = [asyncio.create_task(self._keep(child)) for child in self.connectors]
        watchers += [asyncio.create_task(self._guard(child)) for child in self.balancers]
        try:
            done, _ = await asyncio.wait(watchers, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
        finally:
            for task in watchers:
                task.cancel()
            await asyncio.gather(*watchers, return_exceptions=True)

    def _certificates(self) -> list[str]:
        """Issues everything; returns the connectors' options for it.

        They show users of either listener the same certificate, and believe the users' authority and the mint.
        """
        server = Authority(self.ca.parent).server([HOST, "localhost", LOOPBACK])
        users = Authority(self.directory / "users", "lbproxy demo users")
        mint = Authority(self.directory / "mint", "lbproxy demo mint")
        user = users.user(CERTIFICATE_USER)
        shown = user.certificate.read_bytes() + user.key.read_bytes()
        write_private(self.directory / self.CERTIFICATE, shown)
        believed = write_bundle(self.directory / "connectors-ca.pem", [users, mint])
        options = {"--tls-cert": server.certificate, "--tls-key": server.key, "--client-ca": believed}
        return [word for option, path in options.items() for word in (option, str(path))]

    async def _start_connectors(self, options: list[str], realm: Realm | None) -> dict[str, int]:
        """Returns their ports by name."""
        if realm:
            realm.add_user(USER, "secret")
            keytab = realm.add_service(f"HTTP/{HOST}")
            self.ticket = realm.kinit(USER)
            options = [*options, "--keytab", str(keytab), "--spn-host", HOST, "--binds"]
        ports = {}
        for name in CONNECTORS:
            child = self._connector(name, options, realm.acceptor_env(name) if realm else {})
            self._stack.push_async_callback(child.stop)
            self.connectors.append(child)
            port = ports[name] = urlsplit(await self._begin(child)).port or 0
            child.command = [*child.command, "--port", str(port)]  # where it starts again
        return ports

    def _connector(self, name: str, options: Sequence[str], environment: Mapping[str, str]) -> Child:
        command = program.command("lbproxy.demo.connector", "--name", name, "--server-url", self.server_url)
        command += ["--journal", str(self.directory / f"{name}.journal"), *options]
        return Child(name, command, self.directory / f"{name}.log", "listening: ", environment)

    async def _start_balancers(self, ports: Mapping[str, int], realm: Realm | None) -> None:
        """One after the other: they look at the same connectors."""
        url = await self._start_store()
        probe = Probe(f"{PROBE}@{realm.name}", realm.add_service(PROBE)) if realm else None
        environment = {"KRB5_CONFIG": realm.env["KRB5_CONFIG"]} if realm else {}
        pairs = zip(REPLICAS, zip(self.ports[::2], self.ports[1::2], strict=True), strict=False)
        for (name, file), places in pairs:
            replica = Replica(name, *(f"{LOOPBACK}:{port}" for port in places))
            path = self.directory / file
            path.write_text(configuration(HOST, self.server_url, replica, ports, probe, url))
            command = program.command("lbproxy", "run", "-c", str(path))
            child = Child(name, command, self.directory / f"{name}.log", "ready: ", environment)
            self._stack.push_async_callback(child.stop)
            self.balancers.append(child)
            await child.start()

    async def _start_store(self) -> str | None:
        """The URL of what the balancers share, if there are two."""
        if self._etcd is None:
            return None
        url, store = etcd(self._etcd, self.directory / "store")
        self._stack.push_async_callback(store.stop)
        await store.start()
        return url

    async def _keep(self, child: Child) -> None:
        while True:
            if await child.ended() == 0:
                self._tell(f"{child.name} has ended, and starts again.")
            else:
                self._tell(f"{child.name} is dead. It starts again in {self._restart_after:.0f} s.")
                await asyncio.sleep(self._restart_after)
            try:
                await self._begin(child)
            except StartError as error:
                self._tell(str(error))
                continue
            self._tell(f"{child.name} runs again, as process {child.pid}.")

    async def _begin(self, child: Child) -> str:
        """Start it, and leave its process id in NAME.pid; returns what it says it is ready for."""
        said = await child.start()
        (self.directory / f"{child.name}.pid").write_text(f"{child.pid}\n")
        return said

    async def _guard(self, balancer: Child) -> None:
        status = await balancer.ended()
        raise StartError(f"{balancer.name} ended with status {status}:\n{balancer.last_words}")
