"""The proxies that are measured, by name. Another one is a file here and a row in PEERS."""

from __future__ import annotations

from bench.load.peers.caddy import Caddy
from bench.load.peers.envoy import Envoy
from bench.load.peers.haproxy import HAProxy
from bench.load.peers.lbproxy import Lbproxy
from bench.load.peers.nginx import Nginx
from bench.load.peers.peer import Peer
from bench.load.peers.traefik import Traefik

REFERENCE = "nginx"
"""The peer that ratios are to."""

AS_BASE = "lbproxy-as-browser"
"""lbproxy once more, in the scenario `scenario.BASE`, beside one that has more of something."""

PEERS: dict[str, Peer] = {peer.name: peer for peer in (Lbproxy(), Nginx(), HAProxy(), Envoy(), Caddy(), Traefik())}

ASKED_FOR = {"traefik"}
"""Those that are measured only when they are named: `make bench` does not install them."""

SAFE: dict[str, Peer] = {"nginx": Nginx(safe=True), "haproxy": HAProxy(safe=True)}
"""Those of PEERS, set up so that they leak no user's identity; measured beside them where users bring tokens."""

__all__ = ["ASKED_FOR", "AS_BASE", "PEERS", "REFERENCE", "SAFE", "Peer"]
