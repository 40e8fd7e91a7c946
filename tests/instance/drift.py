"""The eight ways in which instances of the Auth0 connector drift apart, as trials with a real one saw them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests.instance.connector import Connector, pfx
from tests.pki import Authority, pem


def _version(connector: Connector) -> None:
    package = connector.directory / "package.json"
    package.write_text(package.read_text().replace("6.1.2", "6.1.1"))


def _mapper(connector: Connector) -> None:
    (connector.directory / "lib" / "profileMapper.js").write_text("module.exports = (raw) => ({ id: raw.cn });\n")


def _views(connector: Connector) -> None:
    (connector.directory / "views" / "login.ejs").write_text("<form>Another</form>\n")


def _authority(connector: Connector) -> None:
    connector.set(CA_CERT=pem(Authority.root("others").certificate).decode())


def _server_key(connector: Connector) -> None:
    connector.set(SSL_PFX=pfx(Authority.root().server("login.corp.example"), "pfx password"))


DRIFTS: Mapping[str, tuple[Callable[[Connector], None], str]] = {
    "server_url": (
        lambda connector: connector.set(SERVER_URL="https://c2.corp.example:4000"),
        "sends every user to the SERVER_URL of the instance that started last",
    ),
    "session_secret": (
        lambda connector: connector.set(SESSION_SECRET="f" * 32),
        "shows the form for the password again",
    ),
    "mapper": (_mapper, "another user, for the same login"),
    "version": (_version, "connectors of two versions"),
    "ca_cert": (_authority, "are refused by the other"),
    "ssl_pfx": (_server_key, "present different TLS certificates"),
    "ldap": (lambda connector: connector.set(LDAP_BASE="OU=others,DC=corp,DC=example"), "look for users elsewhere"),
    "views": (_views, "Users see different pages"),
}
"""By the fact that shows it: how it comes about, and words of what users notice."""
