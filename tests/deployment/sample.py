"""What packages and images are tried with: one listener, and the demo's connector as its backend."""

from __future__ import annotations

CONFIGURATION = """\
server_url = "http://login.test"

[listener.login]
bind = "127.0.0.1:8080"
pool = "connectors"

[pool.connectors]
backends = [{ name = "c1", url = "http://127.0.0.1:4000" }]

[pool.connectors.check]
path = "/healthz"
"""

CONNECTOR = ("lbproxy.demo.connector", "--name", "c1", "--port", "4000", "--server-url", "http://login.test")
"""The module of its backend, and its arguments."""
