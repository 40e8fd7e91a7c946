"""The balancer's configuration file in the demo: what an administrator would write for three connectors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

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

{check}
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
path = "{name}.access.log"

[admin]
bind = "unix:{name}.sock"
{fleet}"""

_HTTP_CHECK = """\
[pool.connectors.check]
kind = "http"
path = "/wsfed"
expect = [200, 401]                     # a connector that wants a ticket answers 401, and is healthy
interval = "1s"
timeout = "5s"                          # a busy laptop is not a dead connector
"""

_KERBEROS_CHECK = """\
[pool.connectors.check]
kind = "kerberos"                       # the probe signs in at each connector: one with a wrong key is out
path = "/wsfed"
interval = "1s"
timeout = "5s"                          # a busy laptop is not a dead connector

[pool.connectors.check.kerberos]
principal = "{principal}"
keytab = "{keytab}"
spn = "HTTP@{host}"
"""

_FLEET = """
# Its twin, and what both share.
[fleet]
name = "demo"
replica = "{name}"
etcd = ["{etcd}"]
ca = "store/ca.pem"
certificate = "store/lbproxy.pem"
key = "store/lbproxy.key"
"""


class Probe(NamedTuple):
    """Who signs in at the connectors, and the file with its key."""

    principal: str
    keytab: Path


class Replica(NamedTuple):
    """One balancer of the demo: its name, and the addresses of its listeners: where TLS ends, and passes through."""

    name: str
    bind: str
    passthrough: str


def configuration(
    host: str,
    server_url: str,
    replica: Replica,
    ports: Mapping[str, int],
    probe: Probe | None = None,
    etcd: str | None = None,
) -> str:
    """The file's text. `ports` are the connectors', on 127.0.0.1, by name; the other files it names are beside it.

    Users know both addresses of `replica` under the name `host`. etcd: the URL of what it shares with others.
    """
    return _TEMPLATE.format(
        server_url=server_url,
        host=host,
        **replica._asdict(),
        backends=_backends("https", ports),
        passed=_backends("tcp", ports),
        check=_HTTP_CHECK if probe is None else _KERBEROS_CHECK.format(host=host, **probe._asdict()),
        fleet="" if etcd is None else _FLEET.format(name=replica.name, etcd=etcd),
    )


def _backends(scheme: str, ports: Mapping[str, int]) -> str:
    return "\n".join(f'  {{ name = "{name}", url = "{scheme}://127.0.0.1:{port}" }},' for name, port in ports.items())
