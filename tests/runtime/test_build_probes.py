from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from lbproxy.balance.backend import Backend, State
from lbproxy.balance.health import Rules
from lbproxy.balance.pool import Pool
from lbproxy.config import Config, load
from lbproxy.control.probes.http import HttpProbe
from lbproxy.control.probes.kerberos.sign_ins import SignIns
from lbproxy.control.probes.sockets import place
from lbproxy.control.probes.tcp import TcpProbe
from lbproxy.control.probes.tls import TlsProbe
from lbproxy.errors import MissingExtraError, StartError
from lbproxy.runtime.build_probes import OnlyWhileDown, PoolProbes, make_probes
from lbproxy.runtime.probe_certificate import make_identity
from tests.control.probes.backends import answering, behind_proxy_protocol, hanging, listening
from tests.control.probes.kerberos.peers import HOST, PRINCIPAL, Corp, asked_of
from tests.control.probes.verifying import demanding
from tests.pki import Authority, der
from tests.runtime import minting as mints

Make = Callable[..., PoolProbes]

FILE = """
server_url = "https://login.corp.example"
[listener.login]
bind = "127.0.0.1:0"
{listener}
pool = "connectors"
[pool.connectors]
backends = [{{ name = "c1", url = "{url}" }}, {{ name = "c2", url = "{other}" }}]
{pool}
[pool.connectors.check]
{check}
"""


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    """make("kind = ...") are the probes of a pool with that check, and perhaps other keys and a URL for `c1`."""
    made: list[PoolProbes] = []

    def make_it(
        check: str,
        url: str = "http://127.0.0.1:1",
        pool: str = "",
        other: str = "",
        sign_ins: SignIns | None = None,
    ) -> PoolProbes:
        scheme = url.partition(":")[0]
        listener, other = 'mode = "tcp"' if scheme == "tcp" else "", other or f"{scheme}://127.0.0.1:2"
        (tmp_path / "lbproxy.toml").write_text(
            FILE.format(listener=listener, url=url, other=other, pool=pool, check=check)
        )
        options = load(tmp_path / "lbproxy.toml", {}).pools["connectors"]
        backends = [Backend(entry.name, entry.url) for entry in options.backends]
        made.append(make_probes(Pool("connectors", backends, Rules()), options, HOST, sign_ins))
        return made[-1]

    yield make_it
    for probes in made:
        await probes.close()


async def test_http(make: Make) -> None:
    probes = make('path = "/healthz"\nmethod = "HEAD"\nexpect = [204]\ntimeout = "3s"')
    probe = probes.by_name["c1"]
    assert isinstance(probe, HttpProbe)
    assert (probe.url, probe.host, probe.method) == ("http://127.0.0.1:1/healthz", HOST, "HEAD")
    assert (probe.expect, probe.timeout, probe.bare_lf) == ({204}, 3.0, False)
    assert list(probes.by_name) == ["c1", "c2"]
    assert probes.binds("c1") is None
    assert probes.tickets_view() is None


async def test_http_with_lines_that_users_would_be_served(make: Make) -> None:
    probe = make("", pool='bare_lf = "accept"').by_name["c1"]
    assert isinstance(probe, HttpProbe)
    assert probe.bare_lf


async def test_tcp(make: Make) -> None:
    probes = make('kind = "tcp"')
    assert probes.by_name["c2"] == TcpProbe(probes.sockets, place("127.0.0.1", 2), 1.0)


async def test_none_probes_only_what_is_down(make: Make) -> None:
    backend = Backend("c1", "http://127.0.0.1:1")
    async with listening(hanging) as port:
        probe = OnlyWhileDown(backend, make('kind = "tcp"', f"http://127.0.0.1:{port}").by_name["c1"])
        assert (await probe.run()).detail == "not probed"
        backend.state = State.DOWN
        assert (await probe.run()).detail == "connected"


async def test_none(make: Make) -> None:
    assert isinstance(make('kind = "none"').by_name["c1"], OnlyWhileDown)


# --- tls

ROOT = Authority.root()
LOGIN = ROOT.server(HOST)


@pytest.fixture
def server(tmp_path: Path) -> ssl.SSLContext:
    """The context of a connector with LOGIN; the file ca.pem, beside the configuration, has its authority."""
    ROOT.write_certificate(tmp_path / "ca.pem")
    files = LOGIN.write(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.chain, files.key)
    return context


TLS = f'tls = {{ ca = "ca.pem", server_name = "{HOST}" }}'
VERIFIED = "TLSv1.3, certificate verified"
SHOWN = f"TLSv1.3, not verified: sha256 {hashlib.sha256(der(LOGIN.certificate)).hexdigest()}"


async def found(probes: PoolProbes, name: str = "c1") -> tuple[bool, str]:
    """What the probe of a backend finds."""
    result = await probes.by_name[name].run()
    return result.ok, result.detail


@pytest.mark.parametrize("scheme", ["tcp", "https"])
async def test_tls_with_an_authority_to_trust(make: Make, server: ssl.SSLContext, scheme: str) -> None:
    async with listening(hanging, server) as port:
        assert await found(make('kind = "tls"', f"{scheme}://127.0.0.1:{port}", TLS)) == (True, VERIFIED)


async def test_tls_that_is_passed_through_has_nobody_to_trust(make: Make, server: ssl.SSLContext) -> None:
    async with listening(hanging, server) as port:
        assert await found(make('kind = "tls"', f"tcp://127.0.0.1:{port}")) == (True, SHOWN)


async def test_tls_of_https_backends_is_verified_unless_told_otherwise(make: Make, server: ssl.SSLContext) -> None:
    async with listening(hanging, server) as port:
        url = f"https://127.0.0.1:{port}"
        ok, detail = await found(make('kind = "tls"', url))
        assert (ok, detail) == (False, "certificate refused: unable to get local issuer certificate")
        assert await found(make('kind = "tls"', url, "tls = { verify = false }")) == (True, SHOWN)


async def test_tls_of_both_in_one_pool(make: Make, server: ssl.SSLContext) -> None:
    """That connections are passed through to one of them does not make the other one believed."""
    async with listening(hanging, server) as port, listening(hanging, server) as other:
        probes = make('kind = "tls"', f"https://127.0.0.1:{port}", other=f"tcp://127.0.0.1:{other}")
        assert not (await found(probes))[0]
        assert await found(probes, "c2") == (True, SHOWN)


async def test_what_cannot_be_asked_as_the_check_says_is_probed_by_tcp(make: Make) -> None:
    for probes in (
        make("", other="tcp://127.0.0.1:2"),
        make('kind = "tls"', "https://127.0.0.1:1", other="http://127.0.0.1:2"),
    ):
        assert probes.by_name["c2"] == TcpProbe(probes.sockets, place("127.0.0.1", 2), 1.0)
    own = make('url = "http://{host}:3/healthz"', other="tcp://127.0.0.1:2").by_name["c2"]
    assert isinstance(own, HttpProbe)


async def test_tls_for_another_name(make: Make, server: ssl.SSLContext) -> None:
    async with listening(hanging, server) as port:
        ok, detail = await found(make('kind = "tls"', f"tcp://127.0.0.1:{port}", 'tls = { ca = "ca.pem" }'))
    assert not ok
    assert detail.startswith("certificate refused: IP address mismatch")


async def test_tls_has_the_time_of_the_check(make: Make) -> None:
    probe = make('kind = "tls"\ntimeout = "3s"', "tcp://127.0.0.1:1").by_name["c1"]
    assert isinstance(probe, TlsProbe)
    assert probe.timeout == 3.0


async def test_our_own_certificate_is_shown(make: Make, server: ssl.SSLContext, tmp_path: Path) -> None:
    """As a connector sees it: asyncio's server ends the handshake of a stranger."""
    server.verify_mode = ssl.CERT_REQUIRED
    server.maximum_version = ssl.TLSVersion.TLSv1_2  # with 1.3 the client is done before it is refused
    server.load_verify_locations(tmp_path / "ca.pem")
    ROOT.issue("lbproxy").write(tmp_path, "own")
    async with listening(hanging, server) as port:
        url = f"tcp://127.0.0.1:{port}"
        ok, _ = await found(make('kind = "tls"', url))
        assert not ok
        ok, _ = await found(make('kind = "tls"', url, 'tls = { certificate = "own.pem", key = "own.key" }'))
        assert ok


OK = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


async def test_an_https_page_of_a_plain_backend_is_verified_as_the_pool_says(
    make: Make, server: ssl.SSLContext
) -> None:
    async with listening(OK, server) as port:
        check = f'url = "https://{{host}}:{port}/healthz"'
        for url in ("http://127.0.0.1:1", "tcp://127.0.0.1:1"):
            assert await found(make(check, url, TLS)) == (True, "200")
            assert not (await found(make(check, url)))[0]


async def test_a_file_that_cannot_be_used_prevents_a_start(make: Make, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(StartError, match=r"pool\.connectors\.tls"):
        make('kind = "tls"', "tcp://127.0.0.1:1", TLS)


# --- send_proxy_protocol

VERSIONS = pytest.mark.parametrize("version", ["v1", "v2"])


@VERSIONS
async def test_a_header_before_http_and_before_tls(make: Make, server: ssl.SSLContext, version: str) -> None:
    pool = f'send_proxy_protocol = "{version}"'
    async with listening(OK) as backend, behind_proxy_protocol(backend) as port:
        assert await found(make("", f"http://127.0.0.1:{port}", pool)) == (True, "200")
    async with listening(hanging, server) as backend, behind_proxy_protocol(backend) as port:
        assert await found(make('kind = "tls"', f"tcp://127.0.0.1:{port}", pool)) == (True, SHOWN)


async def test_a_header_and_nothing_else(make: Make) -> None:
    received: asyncio.Queue[bytes] = asyncio.Queue()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.put_nowait(await reader.read())

    async with listening(serve) as port:
        probes = make('kind = "tcp"', f"http://127.0.0.1:{port}", 'send_proxy_protocol = "v1"')
        assert await found(probes) == (True, "connected")
        assert await received.get() == b"PROXY UNKNOWN\r\n"


async def test_a_page_at_another_port_gets_no_header(make: Make) -> None:
    async with listening(OK) as port:
        probes = make(f'url = "http://{{host}}:{port}/healthz"', pool='send_proxy_protocol = "v2"')
        assert await found(probes) == (True, "200")


HAPROXY = """
defaults
  mode http
  timeout client 10s
frontend login
  bind fd@{plain} accept-proxy
  bind fd@{secured} accept-proxy ssl crt {certificate}
  http-request return status 200
"""


@pytest.fixture
def haproxy(tmp_path: Path, server: ssl.SSLContext) -> Iterator[tuple[int, int]]:
    """The ports of a HAProxy that wants a PROXY header: without TLS, and with LOGIN."""
    program = shutil.which("haproxy")
    if program is None:
        pytest.skip("HAProxy is not installed")
    certificate = tmp_path / "both.pem"
    certificate.write_bytes(LOGIN.chain_pem + LOGIN.key_pem)
    with socket.create_server(("127.0.0.1", 0)) as plain, socket.create_server(("127.0.0.1", 0)) as secured:
        fds = plain.fileno(), secured.fileno()
        file = tmp_path / "haproxy.cfg"
        file.write_text(HAPROXY.format(plain=fds[0], secured=fds[1], certificate=certificate))
        process = subprocess.Popen([program, "-q", "-db", "-f", file], pass_fds=fds)
        yield plain.getsockname()[1], secured.getsockname()[1]
        process.kill()
        process.wait()


@VERSIONS
async def test_against_haproxy(make: Make, haproxy: tuple[int, int], version: str) -> None:
    plain, secured = haproxy
    pool = f'send_proxy_protocol = "{version}"'
    assert await found(make("", f"http://127.0.0.1:{plain}", pool)) == (True, "200")
    assert await found(make("", f"https://127.0.0.1:{secured}", f"{pool}\n{TLS}")) == (True, "200")
    assert await found(make('kind = "tls"', f"tcp://127.0.0.1:{secured}", f"{pool}\n{TLS}")) == (True, VERIFIED)


async def test_haproxy_would_miss_the_header(make: Make, haproxy: tuple[int, int]) -> None:
    plain, secured = haproxy
    assert not (await found(make("", f"http://127.0.0.1:{plain}")))[0]
    assert not (await found(make('kind = "tls"', f"tcp://127.0.0.1:{secured}")))[0]


# --- kerberos


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


async def test_a_kerberos_check_sends_the_header_on_each_of_its_connections(corp: Corp, make: Make) -> None:
    """On that of the sign-in and on the one that it keeps, to find out whether it is bound to the user."""
    with corp.sample_connector("--keytab", corp.keytab, "--binds") as connector:
        async with behind_proxy_protocol(connector.port) as port:
            probes = make(kerberos(corp.probe_keytab), f"http://127.0.0.1:{port}", 'send_proxy_protocol = "v2"')
            for _ in range(2):
                assert await found(probes) == (True, "200, signed in")
    assert probes.binds("c1") is True


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
    for name in ("credentials", "sign_in", "gss"):  # whatever has imported them before
        monkeypatch.delitem(sys.modules, f"lbproxy.control.probes.kerberos.{name}", raising=False)
    with pytest.raises(MissingExtraError, match=r"install lbproxy\[kerberos\]"):
        make(kerberos(tmp_path / "probe.keytab"))


async def test_the_next_process_goes_on_though_the_kdc_is_down(corp: Corp, make: Make) -> None:
    """With the ticket, the verdict of each connector and the last key that was taken."""
    wrong = corp.realm.add_service("HTTP/other.corp.example")
    with (
        corp.sample_connector("--keytab", corp.keytab) as good,
        corp.sample_connector("--keytab", wrong) as bad,
    ):
        before, after = (make(kerberos(corp.probe_keytab), good.url, other=bad.url) for _ in range(2))
        assert (await before.by_name["c1"].run()).ok
        assert (await before.by_name["c2"].run()).reason == "connector_key"
        corp.realm.stop()
        memory = before.memory()
        assert memory is not None
        after.remember(json.loads(json.dumps(memory)))
        results = [await after.by_name[name].run() for name in ("c1", "c2")]
    assert [(result.ok, result.reason) for result in results] == [(True, None), (False, "connector_key")]
    assert after.tickets is not None
    assert after.tickets.votes.taken == 1


async def test_two_pools_sign_in_once(corp: Corp, make: Make) -> None:
    sign_ins = SignIns()
    with corp.sample_connector("--keytab", corp.keytab) as connector:
        for _ in range(2):
            probes = make(kerberos(corp.probe_keytab), connector.url, sign_ins=sign_ins)
            assert await found(probes) == (True, "200, signed in")
    assert asked_of(corp, "AS_REQ") == 1


async def test_there_is_nothing_to_go_on_from_without_a_kerberos_check(make: Make) -> None:
    assert make('kind = "tcp"').memory() is None


# --- backends that are shown minted certificates


@contextlib.asynccontextmanager
async def minting(config: Config) -> AsyncIterator[PoolProbes]:
    """The probes of a pool whose backends are shown minted certificates."""
    options = config.pools["connectors"]
    pool = Pool("connectors", [Backend(entry.name, entry.url) for entry in options.backends], Rules())
    probes = make_probes(pool, options, HOST, identity=make_identity(config, "connectors"))
    yield probes
    await probes.close()


VERSIONS_OF_TLS = pytest.mark.parametrize(
    "version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=lambda one: one.name
)
KINDS = pytest.mark.parametrize("kind", ["http", "tls"])


@VERSIONS_OF_TLS
@KINDS
async def test_a_backend_that_believes_the_mint(tmp_path: Path, version: ssl.TLSVersion, kind: str) -> None:
    async with listening(OK, mints.believing(tmp_path, version=version)) as port:
        config = mints.configuration(tmp_path, port, pool=f'check = {{ kind = "{kind}", timeout = "10s" }}')
        async with minting(config) as probes:
            ok, detail = await found(probes)
    assert ok, detail


@VERSIONS_OF_TLS
@KINDS
async def test_a_backend_that_does_not(tmp_path: Path, version: ssl.TLSVersion, kind: str) -> None:
    """The `tls` kind without any request; the reason names the mint."""
    async with listening(OK, mints.believing(tmp_path, Authority.root("another"), version)) as port:
        config = mints.configuration(tmp_path, port, pool=f'check = {{ kind = "{kind}", timeout = "10s" }}')
        async with minting(config) as probes:
            ok, detail = await found(probes)
    assert not ok
    assert detail.endswith(mints.QUESTION), detail


async def test_a_page_of_another_server_is_not_shown_the_identity(tmp_path: Path) -> None:
    """It may refuse what it does not know: it asks for certificates of its own authority, and takes none."""
    files = mints.ROOT.server(HOST).write(tmp_path, "page")
    other = demanding(files, Authority.root("another").write_certificate(tmp_path / "another.pem"))
    other.verify_mode = ssl.CERT_OPTIONAL
    async with listening(OK, other) as port:
        check = f'check = {{ url = "https://{{host}}:{port}/healthz", timeout = "10s" }}'
        async with minting(mints.configuration(tmp_path, 1, pool=check)) as probes:
            assert await found(probes) == (True, "200")
