"""Envoy with one thread of work."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from bench.load.peers.peer import Peer
from bench.load.site import Site

_TYPE = "type.googleapis.com/envoy.extensions"
_HTTP = f"{_TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager"
_LOG_FLUSH_MS = 50  # as long as lbproxy's lines wait; by default ten seconds

# What lbproxy logs, as far as Envoy has it.
_LOG_FORMAT = {
    "time": "%START_TIME%",
    "client": "%DOWNSTREAM_REMOTE_ADDRESS%",
    "method": "%REQ(:METHOD)%",
    "target": "%REQ(:PATH)%",
    "host": "%REQ(:AUTHORITY)%",
    "protocol": "%PROTOCOL%",
    "status": "%RESPONSE_CODE%",
    "bytes_in": "%BYTES_RECEIVED%",
    "bytes_out": "%BYTES_SENT%",
    "user_agent": "%REQ(USER-AGENT)%",
    "backend": "%UPSTREAM_HOST%",
    "first_byte": "%RESPONSE_DURATION%",
    "total": "%DURATION%",
    "reason": "%RESPONSE_FLAGS%",
}

_FORWARDED_FOR = {
    "header": {"key": "X-Forwarded-For", "value": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"},
    "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
}


class Envoy(Peer):
    name = "envoy"

    def version(self) -> str:
        done = subprocess.run(["envoy", "--version"], capture_output=True, text=True, check=True)
        return f"envoy {done.stdout.split('/')[-4]}"

    def command(self, site: Site) -> list[str | Path]:
        path = site.directory / "envoy.json"
        path.write_text(
            json.dumps({"static_resources": {"listeners": [_listener(site)], "clusters": [_cluster(site)]}})
        )
        threads = ["--concurrency", str(site.scenario.workers), "--disable-hot-restart"]
        log = ["--log-level", "error", "--file-flush-interval-msec", str(_LOG_FLUSH_MS)]
        return ["envoy", "-c", path, *threads, *log]


def _listener(site: Site) -> dict[str, Any]:
    chain: dict[str, Any] = {"filters": [_tcp() if site.scenario.tcp else _http(site)]}
    if site.scenario.tls:
        chain["transport_socket"] = _tls(site)
    return {"name": "login", "address": _address(site.port), "tcp_backlog_size": 4096, "filter_chains": [chain]}


def _tcp() -> dict[str, Any]:
    kind = f"{_TYPE}.filters.network.tcp_proxy.v3.TcpProxy"
    return _extension("envoy.filters.network.tcp_proxy", kind, stat_prefix="login", cluster="backends")


def _http(site: Site) -> dict[str, Any]:
    route = {"match": {"prefix": "/"}, "route": {"cluster": "backends"}}
    host = {"name": "login", "domains": ["*"], "routes": [route], "request_headers_to_add": [_FORWARDED_FOR]}
    router = _extension("envoy.filters.http.router", f"{_TYPE}.filters.http.router.v3.Router")
    return _extension(
        "envoy.filters.network.http_connection_manager",
        _HTTP,
        stat_prefix="login",
        use_remote_address=True,
        skip_xff_append=True,  # for a client on loopback, Envoy would put in its own address
        access_log=[_log()] if site.scenario.access_log else [],
        route_config={"virtual_hosts": [host]},
        http_filters=[router],
    )


def _log() -> dict[str, Any]:
    kind = f"{_TYPE}.access_loggers.stream.v3.StdoutAccessLog"
    return _extension("envoy.access_loggers.stdout", kind, log_format={"json_format": _LOG_FORMAT})


def _tls(site: Site) -> dict[str, Any]:
    own = {"certificate_chain": _file(site.certificate.chain), "private_key": _file(site.certificate.key)}
    context: dict[str, Any] = {"tls_certificates": [own]}
    if site.scenario.client_certificate:
        context["validation_context"] = {"trusted_ca": _file(site.certificate.users_ca)}
    kind = f"{_TYPE}.transport_sockets.tls.v3.DownstreamTlsContext"
    required = site.scenario.client_certificate
    return _extension(
        "envoy.transport_sockets.tls", kind, common_tls_context=context, require_client_certificate=required
    )


def _cluster(site: Site) -> dict[str, Any]:
    endpoints = [{"endpoint": {"address": _address(port)}} for port in site.backends]
    probe = {"tcp_health_check": {}} if site.scenario.tcp else {"http_health_check": {"path": "/64"}}
    every = {"interval": "2s", "no_traffic_interval": "2s"}  # the second is a minute by default
    rules = every | {"timeout": "2s", "unhealthy_threshold": 3, "healthy_threshold": 2}
    return {
        "name": "backends",
        "type": "STATIC",
        "lb_policy": "ROUND_ROBIN",
        "circuit_breakers": {"thresholds": [{"max_connections": 1_000_000, "max_pending_requests": 1_000_000}]},
        "health_checks": [rules | probe],
        "load_assignment": {"cluster_name": "backends", "endpoints": [{"lb_endpoints": endpoints}]},
    }


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _file(path: Path) -> dict[str, str]:
    return {"filename": str(path)}


def _extension(name: str, kind: str, **settings: Any) -> dict[str, Any]:
    return {"name": name, "typed_config": {"@type": kind, **settings}}
