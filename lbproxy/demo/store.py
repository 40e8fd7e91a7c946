"""What the demo's two balancers share: one etcd, which only they may ask."""

from __future__ import annotations

import shutil
from pathlib import Path

from lbproxy.demo.authority import Authority
from lbproxy.demo.children import Child
from lbproxy.demo.ports import LOOPBACK, free_port

CLIENT = "lbproxy"
"""In the directory: the certificate and the key of those who ask."""


def find_etcd() -> str | None:
    """etcd's path, if it is installed: Debian's package is etcd-server."""
    return shutil.which("etcd")


def etcd(program: str, directory: Path) -> tuple[str, Child]:
    """Its URL, and the process, which is not started yet. Its data and its certificates are in `directory`."""
    authority = Authority(directory, "lbproxy demo store")
    server = authority.server([LOOPBACK], also_client=True)  # its gateway for HTTP asks it by that certificate
    authority.user(CLIENT)
    url, peers = (f"{scheme}://{LOOPBACK}:{free_port()}" for scheme in ("https", "http"))
    options = {
        "name": "demo",
        "data-dir": str(directory / "data"),
        "listen-client-urls": url,
        "advertise-client-urls": url,
        "listen-peer-urls": peers,
        "initial-advertise-peer-urls": peers,
        "initial-cluster": f"demo={peers}",
        "cert-file": str(server.certificate),
        "key-file": str(server.key),
        "trusted-ca-file": str(authority.pair.certificate),
        "log-level": "info",
    }
    command = [program, "--client-cert-auth", *(f"--{name}={value}" for name, value in options.items())]
    return url, Child("etcd", command, directory / "etcd.log", "ready to serve client requests")
