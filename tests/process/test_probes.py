from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from lbproxy.balance.backend import Backend, State
from lbproxy.balance.health import Rules
from lbproxy.balance.pool import Pool
from lbproxy.config import load
from lbproxy.control.probes.http import HttpProbe, open_session
from lbproxy.control.probes.tcp import TcpProbe
from lbproxy.errors import MissingExtraError
from lbproxy.process.probes import OnlyWhileDown, PoolProbes, make_probes
from tests.control.probes.backends import hanging, listening
from tests.control.probes.kerberos.peers import HOST, PRINCIPAL, Corp

Make = Callable[..., PoolProbes]

FILE = """
server_url = "https://login.corp.example"
[listener.login]
bind = "127.0.0.1:0"
pool = "connectors"
[pool.connectors]
backends = [{ name = "c1", url = "%s" }, { name = "c2", url = "http://127.0.0.1:2" }]
[pool.connectors.check]
"""


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    """make("kind = ...") are the probes of a pool with that check; its first backend may have another URL."""

    async with open_session() as session:

        def make_it(check: str, url: str = "http://127.0.0.1:1") -> PoolProbes:
            (tmp_path / "lbproxy.toml").write_text(FILE % url + check)
            options = load(tmp_path / "lbproxy.toml", {}).pools["connectors"]
            return make_probes(pool(options.backends[0].url), options, HOST, session)

        yield make_it


def pool(url: str) -> Pool:
    backends = [Backend("c1", url), Backend("c2", "http://127.0.0.1:2")]
    for backend in backends:  # of a backend's lanes, probes look at their TLS only
        backend.lanes = SimpleNamespace(options=SimpleNamespace(tls=None))
    return Pool("connectors", backends, Rules())


async def test_http(make: Make) -> None:
    probes = make('path = "/healthz"\nmethod = "HEAD"\nexpect = [204]\ntimeout = "3s"')
    probe = probes.by_name["c1"]
    assert isinstance(probe, HttpProbe)
    assert (probe.url, probe.host, probe.method) == ("http://127.0.0.1:1/healthz", HOST, "HEAD")
    assert (probe.expect, probe.timeout) == ({204}, 3.0)
    assert list(probes.by_name) == ["c1", "c2"]
    assert probes.binds("c1") is None
    assert probes.tickets_view() is None


async def test_tcp(make: Make) -> None:
    assert make('kind = "tcp"').by_name["c2"] == TcpProbe("127.0.0.1", 2, 1.0)


async def test_none_probes_only_what_is_down() -> None:
    backend = Backend("c1", "http://127.0.0.1:1")
    async with listening(hanging) as port:
        probe = OnlyWhileDown(backend, TcpProbe("127.0.0.1", port, 10))
        assert (await probe.run()).detail == "not probed"
        backend.state = State.DOWN
        assert (await probe.run()).detail == "connected"


async def test_none(make: Make) -> None:
    assert isinstance(make('kind = "none"').by_name["c1"], OnlyWhileDown)


# --- kerberos


@pytest.fixture
def corp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Corp]:
    corp = Corp(tmp_path / "realm")
    monkeypatch.setenv("KRB5_CONFIG", corp.realm.env["KRB5_CONFIG"])
    yield corp
    corp.realm.stop()


def kerberos(keytab: Path) -> str:
    table = f'{{ principal = "{PRINCIPAL}", keytab = "{keytab}", spn = "HTTP@{HOST}" }}'
    return f'kind = "kerberos"\npath = "/wsfed"\ntimeout = "20s"\nkerberos = {table}'


async def test_a_kerberos_check_signs_in(corp: Corp, make: Make) -> None:
    with corp.sample_connector("--keytab", corp.keytab, "--binds") as connector:
        probes = make(kerberos(corp.probe_keytab), connector.url)
        result = await probes.by_name["c1"].run()
    assert (result.ok, result.detail) == (True, "200, signed in")
    assert probes.binds("c1") is True
    assert probes.binds("c2") is None


async def test_a_pool_asks_the_kdc_once_for_all_its_backends(corp: Corp, make: Make) -> None:
    probes = make(kerberos(corp.probe_keytab))
    results = await asyncio.gather(*(probe.run() for probe in probes.by_name.values()))
    assert [result.reason for result in results] == ["connector_unreachable"] * 2
    assert (corp.realm.directory / "kdc.log").read_text().count("TGS_REQ (") == 1


async def test_trouble_with_the_kdc_is_the_pools(corp: Corp, make: Make) -> None:
    corp.realm.stop()
    probes = make(kerberos(corp.probe_keytab))
    await probes.by_name["c1"].run()
    view = probes.tickets_view()
    assert view is not None
    assert view["reason"] == "kdc_unreachable"


async def test_401_is_no_success_of_a_kerberos_check(corp: Corp, make: Make) -> None:
    """Though the default of expect has it."""
    corp.rotate()
    with corp.sample_connector("--keytab", corp.keytab) as connector:
        probes = make(kerberos(corp.probe_keytab), connector.url)
        result = await probes.by_name["c1"].run()
    assert (result.ok, result.reason) == (False, "connector_key")


async def test_without_gssapi_the_extra_is_named(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gssapi", None)
    monkeypatch.delitem(sys.modules, "lbproxy.control.probes.kerberos.credentials", raising=False)
    with pytest.raises(MissingExtraError, match=r"install lbproxy\[kerberos\]"):
        make(kerberos(tmp_path / "probe.keytab"))
