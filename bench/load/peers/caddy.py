"""Caddy's reverse_proxy."""

from __future__ import annotations

import subprocess
from pathlib import Path

from bench.load.peers.peer import Peer
from bench.load.scenario import Scenario
from bench.load.site import Site


class Caddy(Peer):
    name = "caddy"

    def lacks(self, scenario: Scenario) -> str:
        return "no mode for connections" if scenario.tcp else ""

    def version(self) -> str:
        done = subprocess.run(["caddy", "version"], capture_output=True, text=True, check=True)
        return f"caddy {done.stdout.split()[0]}"

    def command(self, site: Site) -> list[str | Path]:
        threads = f"GOMAXPROCS={site.scenario.workers}"
        return ["env", threads, "caddy", "run", "--adapter", "caddyfile", "--config", site.write(_file(site))]


def _file(site: Site) -> str:
    backends = " ".join(f"127.0.0.1:{port}" for port in site.backends)
    return f"""{{
    admin off
    persist_config off
    auto_https off
    storage file_system {site.directory}
    log {{
        output stderr
        level ERROR
    }}
    log access {{
        output stdout
        format json
        include http.log.access
    }}
    servers {{
        protocols h1
        timeouts {{
            idle 600s
        }}
    }}
}}
{site.scheme}://:{site.port} {{
    bind 127.0.0.1
    {_tls(site)}
    {"log" if site.scenario.access_log else ""}
    reverse_proxy {backends} {{
        lb_policy round_robin
        health_uri /64
        health_interval 2s
        transport http {{
            keepalive_idle_conns_per_host {max(32, 2 * site.active)}
            compression off
        }}
    }}
}}
"""


def _tls(site: Site) -> str:
    if not site.scenario.tls:
        return ""
    certificate = site.certificate
    users = f"""
        client_auth {{
            mode require_and_verify
            trust_pool file {certificate.users_ca}
        }}"""
    return f"""tls {certificate.chain} {certificate.key} {{{users if site.scenario.client_certificate else ""}
    }}"""
