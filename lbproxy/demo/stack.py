"""The whole thing on 127.0.0.1: three sample connectors, a realm, certification authorities, and the balancer.

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
from lbproxy.demo.configuration import configuration
from lbproxy.demo.ports import LOOPBACK, free_port
from lbproxy.demo.realm import Realm
from lbproxy.demo.shell import write_env
from lbproxy.errors import StartError

HOST = "login.corp.example"
USER = "alice"  # signs in with a ticket
CERTIFICATE_USER = "bob"
CONNECTORS = ("c1", "c2", "c3")
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
    ) -> None:
        self.directory = directory.absolute()
        self.port = free_port(port)
        self.server_url = f"https://{HOST}:{self.port}"
        self.passthrough_port = free_port(self.port + 1)
        self.passthrough_url = f"https://{HOST}:{self.passthrough_port}"
        self.admin = f"unix:{self.directory / 'admin.sock'}"
        self.ca = self.directory / "authority" / "ca.pem"
        self.ticket: dict[str, str] | None = None  # the environment of USER's ticket; None without Kerberos
        self.connectors: list[Child] = []
        command = program.command("lbproxy", "run", "-c", str(self.directory / "lbproxy.toml"))
        self.balancer = Child("the balancer", command, self.directory / "lbproxy.log", "ready: ")
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
        await self._start_balancer(await self._start_connectors(options, realm))
        ports = (self.port, self.passthrough_port)
        write_env(self.directory, self.ca, [f"{HOST}:{port}" for port in ports], self.ticket or {})

    async def stop(self) -> None:
        """Ends everything that start() has started, the balancer first."""
        await self._stack.aclose()

    async def watch(self) -> None:
        """Starts connectors again when they end; raises StartError when the balancer ends. Runs until cancelled."""
        watchers = [asyncio.create_task(self._keep(child)) for child in self.connectors]
        watchers.append(asyncio.create_task(self._guard()))
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

    async def _start_balancer(self, ports: Mapping[str, int]) -> None:
        text = configuration(HOST, f"{LOOPBACK}:{self.port}", f"{LOOPBACK}:{self.passthrough_port}", ports)
        (self.directory / "lbproxy.toml").write_text(text)
        self._stack.push_async_callback(self.balancer.stop)
        await self.balancer.start()

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

    async def _guard(self) -> None:
        status = await self.balancer.ended()
        raise StartError(f"the balancer ended with status {status}:\n{self.balancer.last_words}")
