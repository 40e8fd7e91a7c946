"""Traefik with a file for its routers."""

from __future__ import annotations

import http.client
import json
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

from bench.heads import HOST
from bench.load.peers.peer import Peer
from bench.load.site import Site
from bench.load.verify import connect
from bench.processes import Child, accepts


class Traefik(Peer):
    name = "traefik"

    def version(self) -> str:
        done = subprocess.run(["traefik", "version"], capture_output=True, text=True, check=True)
        return f"traefik {done.stdout.split()[1]}"

    def command(self, site: Site) -> list[str | Path]:
        routers = site.directory / f"{site.name}-routers.yml"
        routers.write_text(json.dumps(_tcp(site) if site.scenario.tcp else _http(site)))  # JSON is YAML
        file = site.directory / f"{site.name}.yml"
        file.write_text(json.dumps(_static(site, routers)))
        return ["env", f"GOMAXPROCS={site.scenario.workers}", "traefik", f"--configFile={file}"]

    def ready(self, site: Site, child: Child) -> bool:
        """Not when it accepts: it has no routers until it has read their file."""
        if site.scenario.tcp or not accepts(site.port):
            return accepts(site.port)
        try:
            with closing(connect(site)) as connection:
                connection.request("GET", "/64", headers={"Host": HOST})
                return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False


def _static(site: Site, routers: Path) -> dict[str, Any]:
    timeouts = {"readTimeout": "0s", "idleTimeout": "600s"}
    return {
        "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
        "log": {"level": "ERROR"},
        "entryPoints": {"login": {"address": f"127.0.0.1:{site.port}", "transport": {"respondingTimeouts": timeouts}}},
        "providers": {"file": {"filename": str(routers), "watch": False}},
        **({"accessLog": {"format": "json"}} if site.scenario.access_log else {}),
    }


def _http(site: Site) -> dict[str, Any]:
    router = {"rule": "PathPrefix(`/`)", "service": "backends", "entryPoints": ["login"]}
    balancer = {
        "servers": [{"url": f"http://127.0.0.1:{port}"} for port in site.backends],
        "serversTransport": "kept",
        "healthCheck": {"path": "/64", "interval": "2s"},
    }
    http = {
        "routers": {"all": router | ({"tls": {}} if site.scenario.tls else {})},
        "services": {"backends": {"loadBalancer": balancer}},
        "serversTransports": {"kept": {"maxIdleConnsPerHost": max(200, 2 * site.active)}},
    }
    return {"http": http, **({"tls": _tls(site)} if site.scenario.tls else {})}


def _tcp(site: Site) -> dict[str, Any]:
    servers = [{"address": f"127.0.0.1:{port}"} for port in site.backends]
    router = {"rule": "HostSNI(`*`)", "service": "backends", "entryPoints": ["login"]}
    return {"tcp": {"routers": {"all": router}, "services": {"backends": {"loadBalancer": {"servers": servers}}}}}


def _tls(site: Site) -> dict[str, Any]:
    certificate = site.certificate
    own = {"certFile": str(certificate.chain), "keyFile": str(certificate.key)}
    users = {"clientAuth": {"caFiles": [str(certificate.users_ca)], "clientAuthType": "RequireAndVerifyClientCert"}}
    return {
        "certificates": [own],
        "stores": {"default": {"defaultCertificate": own}},
        "options": {"default": users if site.scenario.client_certificate else {}},
    }
