"""The balancer's configuration file in the demo: what an administrator would write for three connectors."""

from __future__ import annotations

from collections.abc import Mapping

_TEMPLATE = """\
server_url = "{server_url}"
drain_timeout = "5s"

# TLS ends here: requests are spread, and who shows a certificate is handed on with one that is minted in that name.
[listener.login]
bind = "{bind}"
mode = "http"
pool = "connectors"

[listener.login.tls]
certificate = "authority/server.pem"
key = "authority/server.key"
client_certificate = "optional"         # who has none signs in with a ticket, or sees a form
client_ca = "users/ca.pem"
client_identity = "mint"

[listener.login.tls.mint]
ca_certificate = "mint/ca.pem"
ca_key = "mint/ca.key"

# TLS passes through: connections are spread, and connectors see the user's own certificate.
[listener.passthrough]
bind = "{passthrough}"
mode = "sni"

[listener.passthrough.sni]
"{host}" = "passthrough"

[pool.connectors]
backends = [
{backends}
]
idle_lane_timeout = "4s"                # the connectors close an idle connection after 5 s

[pool.connectors.tls]
ca = "authority/ca.pem"
server_name = "{host}"

[pool.connectors.check]
kind = "http"
path = "/wsfed"
expect = [200, 401]                     # a connector that wants a ticket answers 401, and is healthy
interval = "1s"
timeout = "5s"                          # a busy laptop is not a dead connector

# The same connectors once more.
[pool.passthrough]
backends = [
{passed}
]

[pool.passthrough.tls]
ca = "authority/ca.pem"
server_name = "{host}"

[pool.passthrough.check]
kind = "tls"
interval = "1s"
timeout = "5s"

[access_log]
path = "access.log"

[admin]
bind = "unix:admin.sock"
"""


def configuration(host: str, bind: str, passthrough: str, ports: Mapping[str, int]) -> str:
    """The file's text. `ports` are the connectors', on 127.0.0.1, by name; the other files it names are beside it.

    Users know both addresses under the name `host`: `bind`, where TLS ends, and `passthrough`.
    """
    return _TEMPLATE.format(
        server_url=f"https://{host}:{bind.rpartition(':')[2]}",
        host=host,
        bind=bind,
        passthrough=passthrough,
        backends=_backends("https", ports),
        passed=_backends("tcp", ports),
    )


def _backends(scheme: str, ports: Mapping[str, int]) -> str:
    return "\n".join(f'  {{ name = "{name}", url = "{scheme}://127.0.0.1:{port}" }},' for name, port in ports.items())
