"""HAProxy in mode http."""

from __future__ import annotations

import subprocess
from pathlib import Path

from bench.load.peers.peer import Peer
from bench.load.site import Site

# What lbproxy logs, as far as HAProxy has it; a line is written as soon as it is made: HAProxy does not collect them.
_LOG_FORMAT = (
    """'{"time":"%tr","client":"%ci:%cp","method":"%HM","target":"%[capture.req.uri,json(utf8s)]","""
    """"host":"%[capture.req.hdr(0),json(utf8s)]","protocol":"%HV","status":%ST,"bytes_in":%U,"bytes_out":%B,"""
    """"user_agent":"%[capture.req.hdr(1),json(utf8s)]","backend":"%s","connect":%Tc,"first_byte":%Tr,"total":%Ta,"""
    """"reason":"%ts"}'"""
)


class HAProxy(Peer):
    """safe: `http-reuse never`, so that no two clients share a backend connection."""

    def __init__(self, safe: bool = False) -> None:
        self._safe = safe

    @property
    def name(self) -> str:
        return "haproxy-safe" if self._safe else "haproxy"

    def version(self) -> str:
        done = subprocess.run(["haproxy", "-v"], capture_output=True, text=True, check=True)
        return " ".join(done.stdout.split()[:3])

    def command(self, site: Site) -> list[str | Path]:
        return ["haproxy", "-db", "-f", site.write(_file(site, self._safe))]


def _file(site: Site, safe: bool) -> str:
    servers = "\n".join(f"    server b{n} 127.0.0.1:{port}" for n, port in enumerate(site.backends))
    return f"""
global
    nbthread {site.scenario.workers}
    maxconn {site.connections + 2000}
    tune.pool-low-fd-ratio 95  # or it would keep no upstream connections beside many clients
    tune.pool-high-fd-ratio 100
    no strict-limits
    {"tune.bufsize 32768" if site.scenario.large_head else ""}
    {"log stdout len 4096 format raw local0" if site.scenario.access_log else ""}
defaults
    mode {"tcp" if site.scenario.tcp else "http"}
    timeout connect 2s
    timeout client 600s
    timeout http-keep-alive 600s
    timeout server 60s
    {"" if site.scenario.tcp else "option forwardfor"}
frontend login
    bind 127.0.0.1:{site.port} backlog 4096{_tls(site)}
    {"" if site.scenario.tcp else f"http-request set-header X-Forwarded-Proto {site.scheme}"}
    {_log(site)}
    default_backend backends
backend backends
    balance roundrobin
    {"http-reuse never" if safe else ""}
    {"" if site.scenario.tcp else "option httpchk GET /64"}
    default-server check inter 2s
{servers}
"""


def _tls(site: Site) -> str:
    if not site.scenario.tls:
        return ""
    users = f" ca-file {site.certificate.users_ca} verify required" if site.scenario.client_certificate else ""
    return f" ssl crt {site.certificate.both}{users}"


def _log(site: Site) -> str:
    if not site.scenario.access_log:
        return ""
    return f"""log global
    http-request capture req.hdr(host) len 256
    http-request capture req.hdr(user-agent) len 512
    log-format {_LOG_FORMAT}"""
