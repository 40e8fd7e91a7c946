"""Real etcd servers that can be cut off: each has a network namespace of its own, all are on one bridge of this host.

    with islands(tmp_path, 3) as nodes:
        nodes[0].lose(*nodes[1:])     # and they lose it
        nodes[0].lose_clients()
        nodes[0].heal()

What is lost vanishes without a word, as behind a switch that has failed: nothing is refused, and no connection ends.
It takes root, and `ip` of iproute2.
"""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.etcd_server import Node, started


def _ip(*words: str, check: bool = True) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0 or not check, f"ip {' '.join(words)}: {done.stderr}"


class Island(Node):
    """A server at `address`, in the namespace `space`."""

    def __init__(self, folder: Path, net: _Net, number: int, cluster: str) -> None:
        self.address, self.space = net.address(number), net.space(number)
        self._clients = net.host
        peer = f"http://{self.address}:2380"
        options = [
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster={cluster}",
        ]
        super().__init__(folder, f"n{number}", f"{self.address}:2379", options, ["ip", "netns", "exec", self.space])

    def lose(self, *others: Island) -> None:
        """Hear and be heard by these no more."""
        for other in others:
            self._drop(other.address)
            other._drop(self.address)

    def lose_clients(self) -> None:
        """Answer nothing of this host any more; what is asked still arrives."""
        self._drop(self._clients)

    def heal(self, *others: Island) -> None:
        """Take back what was lost."""
        for one, address in [(self, other.address) for other in others] + [(other, self.address) for other in others]:
            one._route("del", address)
        self._route("del", self._clients)

    def _drop(self, address: str) -> None:
        self._route("replace", address)

    def _route(self, verb: str, address: str) -> None:
        _ip("-n", self.space, "route", verb, "blackhole", f"{address}/32", check=verb != "del")


class _Net:
    """A bridge of this host in the range for benchmarks (RFC 2544), which nobody else uses."""

    def __init__(self) -> None:
        self._subnet = random.randrange(256)
        self._name = f"lbp{os.getpid():x}{self._subnet:02x}"
        self.host = self.address(254)

    def address(self, number: int) -> str:
        return f"198.19.{self._subnet}.{number}"

    def space(self, number: int) -> str:
        return f"{self._name}-{number}"

    def open(self, stack: ExitStack, size: int) -> None:
        """The bridge, and a namespace for each of `size` numbers from 1 on."""
        stack.callback(_ip, "link", "del", self._name, check=False)
        _ip("link", "add", self._name, "type", "bridge")
        _ip("addr", "add", f"{self.host}/24", "dev", self._name)
        _ip("link", "set", self._name, "up")
        for number in range(1, size + 1):
            space, here = self.space(number), f"{self._name}{number}"
            stack.callback(_ip, "netns", "del", space, check=False)
            _ip("netns", "add", space)
            # By itself it would go with the namespace, which lives on while another mount namespace has its name.
            stack.callback(_ip, "link", "del", here, check=False)
            _ip("link", "add", here, "type", "veth", "peer", "name", "eth0", "netns", space)
            _ip("link", "set", here, "master", self._name, "up")
            _ip("-n", space, "addr", "add", f"{self.address(number)}/24", "dev", "eth0")
            _ip("-n", space, "link", "set", "eth0", "up")
            _ip("-n", space, "link", "set", "lo", "up")


@contextmanager
def islands(folder: Path, size: int) -> Iterator[Sequence[Island]]:
    """A cluster of `size` servers that are ready. Skips the test where there can be no namespaces."""
    if os.geteuid() != 0 or subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False).returncode:
        pytest.skip("only root makes network namespaces")
    with ExitStack() as stack:
        net = _Net()
        net.open(stack, size)
        numbers = range(1, size + 1)
        cluster = ",".join(f"n{number}=http://{net.address(number)}:2380" for number in numbers)
        nodes = [Island(folder, net, number, cluster) for number in numbers]
        stack.enter_context(started(nodes))
        yield nodes
