"""A realm, and configurations of a balancer in front of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lbproxy import config
from lbproxy.doctor.balancer.sight import Asked, Sight
from tests.control.probes.kerberos.peers import HOST, PRINCIPAL, SPN, Corp


@pytest.fixture
def corp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Corp]:
    """A realm that runs, and that GSS-API in this process sees."""
    corp = Corp(tmp_path / "realm")
    monkeypatch.setenv("KRB5_CONFIG", corp.realm.env["KRB5_CONFIG"])
    yield corp
    corp.realm.stop()


Looking = Callable[..., Sight]


@pytest.fixture
def look(tmp_path: Path) -> Looking:
    """Makes what checks look at: of a balancer in front of `backend`, with more lines of its file."""

    def make(
        backend: str = "http://127.0.0.1:9",
        url: str = f"http://{HOST}",
        top: str = "",
        listener: str = "",
        pool: str = "",
        more: str = "",
        keytabs: tuple[Path, ...] = (),
        ldap: str = "",
        nameserver: int | None = None,
    ) -> Sight:
        servers = () if nameserver is None else (("127.0.0.1", nameserver),)
        path = tmp_path / "lbproxy.toml"
        path.write_text(f"""
server_url = "{url}"
{top}
[listener.login]
bind = "127.0.0.1:8080"
pool = "connectors"
{listener}
[pool.connectors]
backends = [{{ name = "c1", url = "{backend}" }}]
{pool}
[admin]
bind = "unix:{tmp_path}/admin.sock"
{more}
""")
        return Sight(Asked(config.load(path), path, tmp_path / "admin.sock", keytabs, ldap, servers))

    return make


def kerberos(keytab: Path, spn: str = SPN, principal: str = PRINCIPAL) -> str:
    """The lines of a Kerberos check."""
    return f"""
check.kind = "kerberos"
[pool.connectors.check.kerberos]
principal = "{principal}"
keytab = "{keytab}"
spn = "{spn}"
"""
