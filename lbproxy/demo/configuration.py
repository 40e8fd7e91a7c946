"""The balancer's configuration file in the demo: what an administrator would write for three connectors."""

from __future__ import annotations

from collections.abc import Mapping

_TEMPLATE = """\
server_url = "{server_url}"
drain_timeout = "5s"

[listener.login]
bind = "{bind}"
mode = "http"
pool = "connectors"

[listener.login.tls]
certificate = "authority/server.pem"
key = "authority/server.key"

[pool.connectors]
backends = [
{backends}
]
idle_lane_timeout = "4s"                # the connectors close an idle connection after 5 s

[pool.connectors.check]
kind = "http"
path = "/wsfed"
expect = [200, 401]                     # a connector that wants a ticket answers 401, and is healthy
interval = "1s"
timeout = "5s"                          # a busy laptop is not a dead connector

[access_log]
path = "access.log"

[admin]
bind = "unix:admin.sock"
"""


def configuration(server_url: str, bind: str, urls: Mapping[str, str]) -> str:
    """The file's text. `urls` are the connectors' by name; the other files it names are beside it."""
    backends = "\n".join(f'  {{ name = "{name}", url = "{url}" }},' for name, url in urls.items())
    return _TEMPLATE.format(server_url=server_url, bind=bind, backends=backends)
