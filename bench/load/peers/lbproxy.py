"""lbproxy, with every check on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from bench.heads import HOST
from bench.load.peers.peer import Peer
from bench.load.site import Site
from bench.processes import Child
from lbproxy import __version__


class Lbproxy(Peer):
    name = "lbproxy"

    def version(self) -> str:
        return f"lbproxy {__version__}{_commit()}"

    def command(self, site: Site) -> list[str | Path]:
        return [sys.executable, "-m", "lbproxy", "run", "-c", site.write(_file(site))]

    def ready(self, site: Site, child: Child) -> bool:
        """Not when it accepts: until the first probes are back only some backends are in rotation."""
        return b"ready: " in child.errors.read_bytes()


def _commit() -> str:
    """Which commit it is, and whether files differ from it; "" for an installed one."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--exclude", "*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return f" at {done.stdout.strip()}" if done.returncode == 0 else ""


def _file(site: Site) -> str:
    backends = ", ".join(
        f'{{ name = "b{n}", url = "{_backend_scheme(site)}://127.0.0.1:{port}" }}'
        for n, port in enumerate(site.backends)
    )
    return f"""
server_url = "{site.scheme}://{HOST}:{site.port}"
drain_timeout = "1s"
workers = {site.scenario.workers}
[listener.login]
bind = "127.0.0.1:{site.port}"
mode = "{"tcp" if site.scenario.tcp else "http"}"
pool = "connectors"
max_connections = {site.connections + 1000}
idle_timeout = "600s"
{_tls(site)}
[pool.connectors]
backends = [ {backends} ]
[pool.connectors.check]
{_check(site)}
[access_log]
path = {json.dumps(str(site.log) if site.scenario.access_log else "")}
[admin]
bind = "unix:{site.directory}/admin.sock"
"""


def _backend_scheme(site: Site) -> str:
    return "tcp" if site.scenario.tcp else "https" if site.scenario.minted else "http"


def _check(site: Site) -> str:
    return 'kind = "tcp"' if site.scenario.tcp else 'kind = "http"\npath = "/64"\nexpect = [200]'


def _tls(site: Site) -> str:
    if not site.scenario.tls:
        return ""
    certificate = site.certificate
    return f"""[listener.login.tls]
certificate = "{certificate.chain}"
key = "{certificate.key}"
{_users(site) if site.scenario.client_certificate else ""}
"""


def _users(site: Site) -> str:
    users = f'client_certificate = "required"\nclient_ca = "{site.certificate.users_ca}"'
    if not site.scenario.minted:
        return users
    certificate = site.certificate
    return f"""{users}
client_identity = "mint"
[listener.login.tls.mint]
ca_certificate = "{certificate.mint}"
ca_key = "{certificate.mint_key}"
[pool.connectors.tls]
ca = "{certificate.chain}"
server_name = "{HOST}"
"""
