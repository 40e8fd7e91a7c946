"""Network namespaces for tests: one for the test itself, or some that are hosts at one switch. Only root makes them.

    with own_network(): ...                      # this thread, and what it starts, is alone with `lo`
    with Switch("a", "b", "out") as switch:      # three hosts, each with eth0 at one bridge
        switch.hosts["a"].address                # 10.77.0.1, the first; 10.77.0.0/24 is theirs
        switch.hosts["a"].address6               # fd77::1, in fd77::/64
        switch.hosts["a"].inside("ip", "address")

Whatever happens, the end takes every namespace away; what still runs in one is the starter's to end.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import IPv4Address, IPv6Address
from itertools import count
from pathlib import Path
from typing import Self

import pytest

needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("ip") is None, reason="network namespaces need root, and ip"
)
needs_nft = pytest.mark.skipif(shutil.which("nft", path=f"{os.environ['PATH']}:/usr/sbin") is None, reason="nftables")

OWN_NETWORK = Path("/proc/thread-self/ns/net")
"""The network namespace of this thread (network_namespaces(7))."""

_NEW_NETWORK = 0x40000000  # CLONE_NEWNET, unshare(2)
_NETWORK, _NETWORK6 = IPv4Address("10.77.0.0"), IPv6Address("fd77::")
_numbers = count(1)


@contextmanager
def own_network() -> Iterator[None]:
    """For this thread, and the processes that it starts: a network with `lo` only, which is up."""
    with _back_again():
        _call("unshare", _NEW_NETWORK)
        run("ip", "link", "set", "lo", "up")
        yield


def until_it_is_here(address: str, within: float = 10.0) -> None:
    """The kernel takes a new IPv6 address for its own a moment after `ip address add` has ended.

    Until then it may have a route to it, and lose that for a moment.
    """
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        with suppress(subprocess.CalledProcessError):  # there is no route
            if run("ip", "route", "get", address).startswith("local"):
                return
        time.sleep(0.01)
    raise TimeoutError(f"{address} is not an address of this host")


@contextmanager
def _back_again() -> Iterator[None]:
    """At the end this thread is in the network namespace of the beginning."""
    before = os.open(OWN_NETWORK, os.O_RDONLY)
    try:
        yield
    finally:
        enter(before)
        os.close(before)


@contextmanager
def network_of(pid: int) -> Iterator[None]:
    """This thread is in the network of a process, which may be a machine's first."""
    with _inside(Path(f"/proc/{pid}/ns/net")):
        yield


@contextmanager
def _inside(path: Path) -> Iterator[None]:
    with _back_again():
        namespace = os.open(path, os.O_RDONLY)
        try:
            enter(namespace)
        finally:
            os.close(namespace)
        yield


def enter(namespace: int) -> None:
    """This thread is in that network from now on; `namespace` is a descriptor of its file. Raises OSError."""
    _call("setns", namespace, _NEW_NETWORK)


def _call(name: str, *arguments: int) -> None:
    """A function of libc(7) that Python has from 3.12 on only."""
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments):
        raise OSError(ctypes.get_errno(), name)


class Host:
    """A namespace: its `name` as ip netns(8) has it, and its addresses; `number`: of the host at its switch."""

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        self.address, self.address6 = _NETWORK + number, _NETWORK6 + number
        self._port = f"port{number}"  # its end at the switch

    def __repr__(self) -> str:
        return f"<host {self.name} {self.address}>"

    @property
    def network(self) -> Path:
        """The file of its namespace, as ip netns(8) has it."""
        return Path("/run/netns", self.name)

    def inside(self, *command: str) -> list[str]:
        """`command`, to be run there."""
        return ["ip", "netns", "exec", self.name, *command]

    def run(self, *command: str) -> str:
        """Run `command` there; what it printed."""
        return run(*self.inside(*command))

    @contextmanager
    def entered(self) -> Iterator[None]:
        """This thread is there: sockets that it makes, and processes that it starts, belong to that host."""
        with _inside(self.network):
            yield

    def unplug(self, switch: str) -> None:
        """Pull its cable out of the switch."""
        run("ip", "-n", switch, "link", "set", self._port, "down")

    def plug(self, switch: str) -> None:
        """Put it back."""
        run("ip", "-n", switch, "link", "set", self._port, "up")


class Switch:
    """A bridge in a namespace of its own, and `hosts` by their short names."""

    def __init__(self, *names: str) -> None:
        prefix = f"lbt{os.getpid()}x{next(_numbers)}"
        self.name = f"{prefix}switch"
        self.hosts = {name: Host(f"{prefix}{name}", number) for number, name in enumerate(names, 1)}

    def __enter__(self) -> Self:
        _sweep()
        try:
            run("ip", "netns", "add", self.name)
            run("ip", "-n", self.name, "link", "add", "bridge", "type", "bridge")
            run("ip", "-n", self.name, "link", "set", "bridge", "up")
            for host in self.hosts.values():
                self._connect(host)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for name in (*(host.name for host in self.hosts.values()), self.name):
            with suppress(subprocess.CalledProcessError):  # it may not be there yet
                run("ip", "netns", "delete", name)

    def _connect(self, host: Host) -> None:
        run("ip", "netns", "add", host.name)
        port = host._port
        run("ip", "-n", self.name, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", host.name)
        run("ip", "-n", self.name, "link", "set", port, "master", "bridge", "up")
        run("ip", "-n", host.name, "link", "set", "lo", "up")
        run("ip", "-n", host.name, "link", "set", "eth0", "up")
        run("ip", "-n", host.name, "address", "add", f"{host.address}/24", "dev", "eth0")
        run("ip", "-n", host.name, "address", "add", f"{host.address6}/64", "dev", "eth0", "nodad")

    def unplug(self, name: str) -> None:
        """Pull a host's cable."""
        self.hosts[name].unplug(self.name)

    def plug(self, name: str) -> None:
        """Put it back."""
        self.hosts[name].plug(self.name)


def _sweep() -> None:
    """Take away what a test has left whose process ended without its end (`faulthandler_exit_on_timeout`)."""
    for path in Path("/run/netns").glob("lbt*x*"):
        owner = re.match(r"lbt(\d+)x", path.name)
        if owner is None or Path(f"/proc/{owner[1]}").exists():
            continue
        with suppress(subprocess.CalledProcessError):  # another one sweeps as well
            for pid in run("ip", "netns", "pids", path.name).split():
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            run("ip", "netns", "delete", path.name)


def run(*command: str) -> str:
    """Run a command to its end; what it printed. Raises CalledProcessError, with what it complained of."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        error = subprocess.CalledProcessError(done.returncode, command, done.stdout, done.stderr)
        error.add_note(done.stderr)
        raise error
    return done.stdout
