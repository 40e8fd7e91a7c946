"""lbproxy, with every check on."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from bench.heads import HOST
from bench.load.peers.peer import Peer
from bench.load.processes import Child
from bench.load.site import Site
from lbproxy import __version__


class Lbproxy(Peer):
    name = "lbproxy"

    def version(self) -> str:
        return f"lbproxy {__version__}"

    def command(self, site: Site) -> list[str | Path]:
        return [sys.executable, "-m", "lbproxy", "run", "-c", site.write(_file(site))]

    def ready(self, site: Site, child: Child) -> bool:
        """Not when it accepts: until the first probes are back only some backends are in rotation."""
        return b"ready: " in child.errors.read_bytes()


def _file(site: Site) -> str:
    backends = ", ".join(
        f'{{ name = "b{n}", url = "http://127.0.0.1:{port}" }}' for n, port in enumerate(site.backends)
    )
    return f"""
server_url = "{site.scheme}://{HOST}:{site.port}"
drain_timeout = "1s"
[listener.login]
bind = "127.0.0.1:{site.port}"
pool = "connectors"
max_connections = {site.connections + 1000}
idle_timeout = "600s"
{_tls(site)}
[pool.connectors]
backends = [ {backends} ]
[pool.connectors.check]
kind = "http"
path = "/64"
expect = [200]
[access_log]
path = {json.dumps(str(site.log) if site.scenario.access_log else "")}
[admin]
bind = "unix:{site.directory}/admin.sock"
"""


def _tls(site: Site) -> str:
    if not site.scenario.tls:
        return ""
    certificate = site.certificate
    return f"""[listener.login.tls]
certificate = "{certificate.chain}"
key = "{certificate.key}"
"""
