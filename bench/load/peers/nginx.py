"""nginx as a reverse proxy."""

from __future__ import annotations

import subprocess
from pathlib import Path

from bench.load.nginx_file import nginx_command, nginx_file, nginx_stream_file, stream_module
from bench.load.peers.peer import Peer
from bench.load.scenario import Scenario
from bench.load.site import Site

# What lbproxy logs, as far as nginx has it.
_LOG_FORMAT = """log_format bench escape=json '{"time":"$time_iso8601","client":"$remote_addr:$remote_port",'
        '"method":"$request_method","target":"$request_uri","host":"$host","protocol":"$server_protocol",'
        '"status":$status,"bytes_in":$request_length,"bytes_out":$bytes_sent,"user_agent":"$http_user_agent",'
        '"backend":"$upstream_addr","connect":"$upstream_connect_time","first_byte":"$upstream_header_time",'
        '"total":"$request_time","reason":"$request_completion"}';"""


class Nginx(Peer):
    """safe: without upstream keep-alive, as it is unless configured (before 1.29.7): no two clients share a backend
    connection."""

    def __init__(self, safe: bool = False) -> None:
        self._safe = safe

    @property
    def name(self) -> str:
        return "nginx-safe" if self._safe else "nginx"

    def lacks(self, scenario: Scenario) -> str:
        return "no stream module" if scenario.tcp and not stream_module().exists() else ""

    def version(self) -> str:
        done = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=True)
        return done.stderr.strip().removeprefix("nginx version: ")

    def command(self, site: Site) -> list[str | Path]:
        both_sides = 2 * site.connections + len(site.backends) + 1000
        if site.scenario.tcp:
            text = nginx_stream_file(site.directory, self.name, both_sides, _stream(site))
        else:
            text = nginx_file(site.directory, self.name, both_sides, _http(site, self._safe), site.scenario.workers)
        return nginx_command(site.directory, site.write(text))


def _http(site: Site, safe: bool) -> str:
    kept = max(128, 2 * site.active, 2 * len(site.backends))
    keepalive = "" if safe else f"keepalive {kept}; keepalive_requests 1000000000;"
    return f"""
    {_LOG_FORMAT}
    {"large_client_header_buffers 4 32k;" if site.scenario.large_head else ""}
    upstream backends {{ {_servers(site)} {keepalive} }}
    server {{
        listen 127.0.0.1:{site.port} backlog=4096{" ssl" if site.scenario.tls else ""};
        {_tls(site)}
        {_log(site)}
        proxy_http_version 1.1;
        proxy_set_header Connection "{"close" if safe else ""}";
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_max_temp_file_size 0;  # a proxy is measured, not a disk
        location / {{ proxy_pass http://backends; }}
    }}"""


def _stream(site: Site) -> str:
    return f"""
    access_log off;
    upstream backends {{ {_servers(site)} }}
    server {{ listen 127.0.0.1:{site.port} backlog=4096; proxy_pass backends; }}"""


def _servers(site: Site) -> str:
    return " ".join(f"server 127.0.0.1:{port};" for port in site.backends)


def _tls(site: Site) -> str:
    if not site.scenario.tls:
        return ""
    files = f"ssl_certificate {site.certificate.chain}; ssl_certificate_key {site.certificate.key};"
    users = f"ssl_client_certificate {site.certificate.users_ca}; ssl_verify_client on;"
    return f"{files} ssl_protocols TLSv1.2 TLSv1.3; {users if site.scenario.client_certificate else ''}"


def _log(site: Site) -> str:
    """Lines wait for company as long as lbproxy's do."""
    if not site.scenario.access_log:
        return ""
    return f"access_log {site.log} bench buffer=64k flush=50ms;"
