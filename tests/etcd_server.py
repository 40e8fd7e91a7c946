"""Real etcd servers on free ports of 127.0.0.1: one, or several that are one cluster.

    with node(tmp_path) as one: ...                 # one.url; one.stop(), one.start(), one.kill()
    with cluster(tmp_path, 3) as nodes: ...

A node is ready when it says so to its service manager, which is the test: it has a leader by then.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509

from tests.pki import CLIENT_AUTH, SERVER_AUTH, Authority
from tests.ports import free_port

_READY_WITHIN = 60.0  # seconds, on a machine with much else to do

_ALONE = ("--heartbeat-interval=10", "--election-timeout=100")
"""Milliseconds, a tenth of what is usual: a server without others elects itself as soon as that time is over."""


class Certificates:
    """Files of a server at 127.0.0.1, of the authority that vouches for it, and of a client."""

    def __init__(self, folder: Path) -> None:
        authority = Authority.root("etcd")
        self.ca = folder / "etcd-ca.pem"
        authority.write_certificate(self.ca)
        # The gateway of a server is a client of that server, with the same certificate.
        address = x509.IPAddress(ip_address("127.0.0.1"))
        server = authority.issue("etcd", names=[address], usages=[SERVER_AUTH, CLIENT_AUTH])
        self.server = server.write(folder, "etcd-server")
        self.client = authority.issue("lbproxy").write(folder, "etcd-client")

    @property
    def options(self) -> list[str]:
        """Of a server that asks its clients for certificates."""
        return [
            f"--cert-file={self.server.chain}",
            f"--key-file={self.server.key}",
            f"--trusted-ca-file={self.ca}",
            "--client-cert-auth=true",
        ]


class Node:
    """One server; it keeps its data and its ports while it is stopped."""

    def __init__(self, folder: Path, name: str, client: str, options: Sequence[str], under: Sequence[str] = ()) -> None:
        """client: host and port for clients; under: the command that runs it, if one does."""
        self.folder = folder
        self.name = name
        self.tls = any(option.startswith("--cert-file") for option in options)
        self.url = f"http{'s' if self.tls else ''}://{client}"
        self._under = under
        self._options = [
            f"--name={name}",
            f"--data-dir={folder / name}",
            f"--listen-client-urls={self.url}",
            f"--advertise-client-urls={self.url}",
            "--log-level=error",
            *options,
        ]
        self._process: subprocess.Popen[bytes] | None = None
        self._notices: socket.socket | None = None

    def launch(self) -> None:
        """Start, without waiting: see `wait`."""
        # Its path is short, whatever that of the test's directory is.
        self._sockets = tempfile.mkdtemp(prefix="lbproxy-etcd-")
        self._notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notices.bind(f"{self._sockets}/notify")
        self._notices.settimeout(_READY_WITHIN)
        environ: Mapping[str, str] = {**os.environ, "NOTIFY_SOCKET": f"{self._sockets}/notify"}
        with (self.folder / f"{self.name}.log").open("ab") as log:
            command = [*self._under, "etcd", *self._options]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=environ)

    def wait(self) -> None:
        """Until it serves."""
        assert self._notices is not None
        try:
            assert b"READY=1" in self._notices.recv(4096)
        except TimeoutError:
            raise AssertionError((self.folder / f"{self.name}.log").read_text()) from None
        finally:
            self._notices.close()
            shutil.rmtree(self._sockets)

    def start(self) -> None:
        """Start, and wait."""
        self.launch()
        self.wait()

    def stop(self) -> None:
        """Have it end, with its connections closed."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it in the middle of whatever it does."""
        self._end(signal.SIGKILL)

    def send(self, number: signal.Signals) -> None:
        """STOP freezes it: it keeps its connections, and says nothing."""
        assert self._process is not None
        self._process.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(number)
            self._process.wait()
            self._process = None

    def ctl(self, *arguments: str) -> str:
        """What etcdctl prints; without TLS only."""
        command = ["etcdctl", f"--endpoints={self.url}", "--dial-timeout=5s", "--command-timeout=20s", *arguments]
        environ: Mapping[str, str] = {**os.environ, "ETCDCTL_API": "3"}
        done = subprocess.run(command, capture_output=True, text=True, env=environ, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def demand_passwords(self, password: str) -> None:
        """From now on: root may do everything; the user lbproxy, with this one, what is below /lbproxy/."""
        self.ctl("user", "add", "root:root")
        self.ctl("user", "grant-role", "root", "root")
        self.ctl("role", "add", "fleet")
        self.ctl("role", "grant-permission", "--prefix=true", "fleet", "readwrite", "/lbproxy/")
        self.ctl("user", "add", f"lbproxy:{password}")
        self.ctl("user", "grant-role", "lbproxy", "fleet")
        self.ctl("auth", "enable")

    @property
    def leads(self) -> bool:
        """Whether it is the leader of its cluster."""
        fields = self.ctl("endpoint", "status", "--write-out=simple").split(", ")
        return fields[4] == "true"


@contextmanager
def cluster(folder: Path, size: int, options: Sequence[str] = ()) -> Iterator[list[Node]]:
    """`size` servers that are ready; each has these `options`."""
    ports = [free_port() for _ in range(2 * size)]
    peers = {f"n{number}": f"http://127.0.0.1:{port}" for number, port in enumerate(ports[size:])}
    initial = ",".join(f"{name}={url}" for name, url in peers.items())
    nodes = []
    for (name, peer), port in zip(peers.items(), ports, strict=False):
        own = [f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}", f"--initial-cluster={initial}"]
        nodes.append(Node(folder, name, f"127.0.0.1:{port}", [*own, *options]))
    with started(nodes):
        yield nodes


@contextmanager
def started(nodes: Sequence[Node]) -> Iterator[None]:
    """All of them, for the length of a block; they are ready when it begins."""
    with ExitStack() as stack:
        for each in nodes:
            stack.callback(each.kill)
            each.launch()
        for each in nodes:
            each.wait()
        yield


@contextmanager
def node(folder: Path, options: Sequence[str] = ()) -> Iterator[Node]:
    """One server that is ready."""
    with cluster(folder, 1, [*_ALONE, *options]) as [one]:
        yield one
