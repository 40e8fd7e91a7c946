"""A pool whose backends are shown minted certificates: its configuration file, and servers that believe the mint."""

from __future__ import annotations

import ssl
from pathlib import Path

from lbproxy.config import Config, load
from tests.control.probes.verifying import demanding
from tests.pki import Authority

HOST = "login.corp.example"
ROOT = Authority.root("connectors")
MINT = Authority.root("mint", path_length=0)
QUESTION = "does its CA_CERT contain the mint (CN=mint)?"

_FILE = """
server_url = "https://{host}"
[listener.login]
bind = "127.0.0.1:0"
pool = "connectors"
[listener.login.tls]
certificate = "login.pem"
key = "login.key"
client_certificate = "{asked}"
client_ca = "ca.pem"
client_identity = "mint"
mint = {{ ca_certificate = "mint.pem", ca_key = "mint.key" }}
[pool.connectors]
backends = [{backends}]
tls = {{ ca = "ca.pem", server_name = "{host}" }}
{pool}
[admin]
bind = "unix:admin.sock"
"""


def configuration(directory: Path, *ports: int, pool: str = "", asked: str = "required") -> Config:
    """The file lbproxy.toml, with backends c1 and so on at those ports, and all files that it names."""
    write_files(directory)
    backends = ", ".join(
        f'{{ name = "c{number}", url = "https://127.0.0.1:{port}" }}' for number, port in enumerate(ports, 1)
    )
    (directory / "lbproxy.toml").write_text(_FILE.format(host=HOST, asked=asked, backends=backends, pool=pool))
    return load(directory / "lbproxy.toml", {})


def write_files(directory: Path) -> None:
    ROOT.write_certificate(directory / "ca.pem")
    ROOT.server(HOST).write(directory, "login")
    MINT.write_certificate(directory / "mint.pem")
    (directory / "mint.key").write_bytes(MINT.key_pem)
    (directory / "mint.key").chmod(0o600)


def believing(
    directory: Path, mint: Authority = MINT, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
) -> ssl.SSLContext:
    """The context of a connector that lets nobody in without a certificate of `mint`."""
    files = ROOT.server(HOST).write(directory, "connector")
    return demanding(files, mint.write_certificate(directory / "believed.pem"), version)
