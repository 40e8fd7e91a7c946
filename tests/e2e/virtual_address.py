"""Two hosts with lbproxy and keepalived, which share one address, and a third one with the clients and the backend.

    async with two_hosts(tmp_path) as site:
        await site.owner()               # the host that has the address
        await site.connect()             # a client connection to it, from outside
        site.hosts["a"].balancer ...

While it lasts, the test itself is on the third host: see `tests.namespaces`.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from lbproxy.control.host_addresses import AddressChanges, present
from tests.namespaces import Host, Switch, needs_root

from .backend import Script, ScriptedBackend
from .balancer import Balancer, command
from .client import Client
from .configuration import configuration
from .crowd import PAUSE, Crowd, serve_posts
from .message import Cut
from .progress import DEADLINE, Progress
from .surroundings import Surroundings

ADDRESS, ADDRESS6 = "10.77.0.100", "fd77::100"
PORT = 8080
OTHER = {"a": "b", "b": "a"}

needs_keepalived = [
    needs_root,
    pytest.mark.skipif(shutil.which("keepalived") is None, reason="keepalived is not installed"),
]


class Keepalived:
    """A running keepalived, and the lines of its `log`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.log: list[str] = []
        self._progress = Progress()
        self._reading = asyncio.ensure_future(self._read())

    async def trusts(self) -> None:
        """Wait until its host may have the address: all is well, and has been for as long as it takes (`rise`)."""
        await self._progress.until(lambda: self._priority == "250")

    @property
    def _priority(self) -> str:
        """The last that it told of; it begins with 250, also where its kernel killed it and it has started again."""
        changes = [line for line in self.log if "Changing effective priority from" in line]
        return changes[-1].split()[-1] if changes else "250"

    async def stop(self) -> None:
        if self.process.returncode is None:
            self.process.terminate()
        await self.process.wait()
        await self._reading

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.log.append(line.decode().rstrip("\n"))
            self._progress.happened()


class Replica:
    """One of the two: its `balancer`, and keepalived, which may be gone. `address` is what both share."""

    def __init__(self, name: str, host: Host, balancer: Balancer, keepalived: Keepalived, address: str) -> None:
        self.name = name
        self.address = address
        self.host = host
        self.balancer = balancer
        self.keepalived = keepalived

    def __repr__(self) -> str:
        return f"<replica {self.name}>"

    @property
    def has_address(self) -> bool:
        with self.host.entered():
            return bool(present([ip_address(self.address)]))

    async def run(self, *arguments: str) -> tuple[int, str, str]:
        """A command of lbproxy on this host."""
        name, *options = arguments
        path = str(self.balancer.path)
        return await command(name, "-c", path, *options, around=Surroundings(network=self.host.network))


class Site:
    """`hosts` by name, at `switch`, with one `address`."""

    def __init__(self, switch: Switch, hosts: dict[str, Replica], address: str) -> None:
        self.switch = switch
        self.address = address
        self.hosts = hosts

    async def connect(self) -> Client:
        return await Client.connect((self.address, PORT))

    async def owner(self, *names: str) -> Replica:
        """Wait until exactly one of all hosts has the address, and it is one of `names`, if there are any."""
        return await self._until(
            lambda found: found[0] if len(found) == 1 and found[0].name in (names or OTHER) else None
        )

    async def has_address(self, replica: Replica) -> Replica:
        """Wait until it has the address, whoever else has."""
        return await self._until(lambda found: replica if replica in found else None)

    async def _until(self, choose: Callable[[list[Replica]], Replica | None]) -> Replica:
        """Ask `choose` about those that have the address, now and after each change, until it chooses one."""
        async with asyncio.timeout(DEADLINE), AsyncExitStack() as stack:
            changes = []
            for replica in self.hosts.values():
                with replica.host.entered():
                    changes.append(stack.enter_context(AddressChanges()))
            while True:
                chosen = choose([replica for replica in self.hosts.values() if replica.has_address])
                if chosen is not None:
                    return chosen
                waiting = [asyncio.ensure_future(one.next()) for one in changes]
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for one in waiting:
                    one.cancel()


class Clients(Crowd):
    """Clients outside who ask all the time. Whoever comes with a new connection gets an answer on it.

    A kept connection may end while a request is on its way to it: then that is sent once more on a new connection, as
    a browser does (RFC 9112 section 9.3.1), and counted in `resent`.
    """

    def __init__(self, site: Site, kept: int = 4, new: int = 8) -> None:
        super().__init__(site.connect, kept, new)
        self.resent = 0
        self._progress = Progress()

    async def more(self, count: int) -> None:
        """Wait for so many more answers."""
        wanted = len(self.answered) + count
        await self._progress.until(lambda: len(self.answered) >= wanted, DEADLINE * 10)

    async def ask(self, client: Client) -> bool:
        goes_on = await super().ask(client)
        self._progress.happened()
        return goes_on

    async def _stay(self) -> None:
        while not self._stop.is_set():
            async with await self._connect() as client:
                goes_on = await self.ask(client)
                while goes_on and not self._stop.is_set():
                    await asyncio.sleep(PAUSE)
                    try:
                        goes_on = await self.ask(client)
                    except (Cut, ConnectionError):
                        self.resent += 1
                        break


@asynccontextmanager
async def two_hosts(
    directory: Path, script: Script = serve_posts, bind: str = "", address: str = ADDRESS, **changes: Any
) -> AsyncIterator[Site]:
    """See above. `script` is the backend's, `bind` the host of the listeners; `changes` are keys at the file's top.

    Adverts are sent in the IP version of `address`.
    """
    with Switch("a", "b", "out") as switch, switch.hosts["out"].entered():
        async with AsyncExitStack() as stack:
            backend = ScriptedBackend("c1", script, host=str(switch.hosts["out"].address))
            await backend.start()
            stack.push_async_callback(backend.stop)
            hosts = {}
            for name in OTHER:
                (directory / name).mkdir()
                made = _replica(name, switch, directory, backend, bind or address, address, changes)
                hosts[name] = await stack.enter_async_context(made)
            site = Site(switch, hosts, address)
            await site.owner()
            yield site


@asynccontextmanager
async def _replica(
    name: str,
    switch: Switch,
    directory: Path,
    backend: ScriptedBackend,
    bind: str,
    address: str,
    changes: dict[str, Any],
) -> AsyncIterator[Replica]:
    host, folder = switch.hosts[name], directory / name
    config = configuration(
        folder,
        [(backend.name, backend.url)],
        listener={"bind": f"[{bind}]:{PORT}" if ":" in bind else f"{bind}:{PORT}", "hosts": ["*"]},
        virtual_addresses=[address],
        **{"leave_timeout": "60s", **changes},
    )
    config["access_log"] = {"path": ""}  # thousands of lines
    balancer = await Balancer.start(config, folder, Surroundings(network=host.network))
    try:
        async with _keepalived(name, switch, balancer.path, address) as keepalived:
            yield Replica(name, host, balancer, keepalived, address)
        if balancer.process.returncode is None:
            await balancer.stop()
    finally:
        await balancer.kill()
        print(*balancer.log, sep="\n")  # pytest shows it beside a failure only


@asynccontextmanager
async def _keepalived(name: str, switch: Switch, config: Path, address: str) -> AsyncIterator[Keepalived]:
    """It runs with what `lbproxy keepalived` prints."""
    hosts = {one: switch.hosts[one].address6 if ":" in address else switch.hosts[one].address for one in OTHER}
    addresses = [f"--host={one}={own}" for one, own in hosts.items()]
    options = ["--this", name, "--interface", "eth0", "--user", "root", "--notify", "/bin/true", *addresses]
    status, text, error = await command("keepalived", "-c", str(config), *options)
    assert status == 0, error
    path = config.with_name("keepalived.conf")
    for here, there in (
        # The files of this checkout may be another user's, and keepalived would not run them as root.
        ("    enable_script_security\n", ""),
        # A machine with much else to do is no reason to move.
        (" health -c", " health --timeout 60s -c"),
        ("    timeout 10\n", "    timeout 60\n"),
    ):
        assert here in text
        text = text.replace(here, there)
    path.write_text(text)
    files = [f"--{kind}={config.with_name(kind)}" for kind in ("pid", "vrrp_pid", "checkers_pid")]
    keepalived = Keepalived(
        await asyncio.create_subprocess_exec(
            *switch.hosts[name].inside("keepalived", "--dont-fork", "--log-console", f"--use-file={path}", *files),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, "LC_ALL": "C"},
        )
    )
    try:
        yield keepalived
    finally:
        await keepalived.stop()
        print(*keepalived.log, sep="\n")  # pytest shows it beside a failure only
