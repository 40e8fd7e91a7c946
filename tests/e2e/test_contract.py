"""contract.toml has the keys that others rely on: as it stands it passes `check`, and it runs.

It names backends of all three schemes in one pool, for a listener of mode http and one of mode sni, and tables of kinds
that are not chosen: for whoever switches a kind and leaves the rest as it is.
"""

from __future__ import annotations

import base64
import re
import ssl
import struct
import tomllib
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType

import pytest
from click.testing import CliRunner, Result

from lbproxy.cli import main
from tests.pki import DAY, Authority, Holder, der, write_crls
from tests.ports import free_port

from .backend import ScriptedBackend, serve
from .balancer import Balancer
from .client import Client, request
from .conftest import Backends
from .starting import spawn

CONTRACT = Path(__file__).with_name("contract.toml")
LOGIN = "login.corp.example"
PRINCIPAL = "HTTP/probe.corp.example@CORP.EXAMPLE"

PUBLIC = Authority.root("public")
USERS = Authority.root("users")
CONNECTORS = Authority.root("connectors")
ALICE = USERS.issue("alice")
BOB = USERS.issue("bob")


@pytest.fixture
def home(directory: Path) -> Path:
    """The directory of the file, with everything that it names."""
    certs = directory / "certs"
    certs.mkdir()
    PUBLIC.server(LOGIN, ends=30 * DAY).write(certs, "login")
    USERS.write_certificate(certs / "users-ca.pem")
    write_crls(certs / "users.crl", USERS.crl(BOB, next_update=30 * DAY))
    mint = Authority.root("mint", path_length=0).write(certs, "mint-ca")
    mint.key.chmod(0o600)
    CONNECTORS.write_certificate(certs / "connectors-ca.pem")
    (directory / "probe.keytab").write_bytes(keytab(PRINCIPAL))
    return directory


def keytab(principal: str) -> bytes:
    """A keytab with a key of zeros, in MIT's format 0x502: whether it is the right one, only a KDC knows."""

    def counted(data: bytes) -> bytes:
        return len(data).to_bytes(2) + data

    name, realm = principal.split("@")
    components = name.split("/")
    entry = len(components).to_bytes(2) + b"".join(counted(part.encode()) for part in (realm, *components))
    nt_principal, timestamp, kvno, aes256_sha1 = 1, 0, 1, 18
    entry += struct.pack(">IIBH", nt_principal, timestamp, kvno, aes256_sha1) + counted(bytes(32))
    return b"\x05\x02" + len(entry).to_bytes(4) + entry


def written(home: Path, changes: Mapping[str, str] = MappingProxyType({})) -> Path:
    """The file with `changes`, and with the admin socket beside it: not everybody who runs tests may write to /run."""
    text = CONTRACT.read_text()
    for old, new in {"unix:/run/lbproxy/": f"unix:{home}/", **changes}.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path = home / "lbproxy.toml"
    path.write_text(text)
    return path


def check(path: Path) -> Result:
    return CliRunner().invoke(main, ["check", "-c", str(path)], catch_exceptions=False)


async def test_it_is_fit_to_run(home: Path) -> None:
    path = written(home)
    result = check(path)
    assert result.exit_code == 0, result.stderr
    warnings = re.sub(r"(?m)^(\S+):[0-9]+:", r"\1:", result.stderr).splitlines()
    assert [warning for warning in warnings if "only root can read" not in warning] == [
        f'{path}: listener.login.tls.mint: warning: has no meaning without client_identity = "mint"',
        f'{path}: pool.connectors.check.kerberos: warning: has no meaning with kind = "http"',
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        *(('kind = "http" ', f'kind = "{kind}"') for kind in ("none", "tcp", "tls", "kerberos")),
        *(('client_certificate = "optional"', f'client_certificate = "{asked}"') for asked in ("none", "required")),
        *(('client_identity = "rfc9440"', f'client_identity = "{told}"') for told in ("none", "xfcc")),
        *(('send_proxy_protocol = "none"', f'send_proxy_protocol = "{version}"') for version in ("v1", "v2")),
        ('minimum_version = "1.2"', 'minimum_version = "1.3"'),
        ('when_all_down = "try"', 'when_all_down = "refuse"'),
    ],
)
async def test_one_key_may_be_switched_and_the_rest_stay(home: Path, old: str, new: str) -> None:
    result = check(written(home, {old: new}))
    assert result.exit_code == 0, result.stderr


# --- it runs


@asynccontextmanager
async def running(home: Path, *backends: ScriptedBackend) -> AsyncIterator[Balancer]:
    """`lbproxy run` with the file, on other ports, in front of c1, c2 and c3."""
    changes = {"0.0.0.0:443": f"127.0.0.1:{free_port()}", "0.0.0.0:8443": f"127.0.0.1:{free_port()}"}
    for number, backend in enumerate(backends, 11):
        changes[f"10.0.0.{number}:4000"] = f"127.0.0.1:{backend.port}"
    path = written(home, changes)
    balancer = Balancer(tomllib.loads(path.read_text()), path, await spawn("run", "-c", str(path)))
    try:
        await balancer.ready()
        yield balancer
        await balancer.stop()
    finally:
        await balancer.kill()


async def ask(balancer: Balancer, listener: str, authority: Authority, user: Holder | None = None) -> bytes:
    """Who answers a request over a connection of its own to a listener whose certificate is `authority`'s."""
    host, _, port = balancer.config["listener"][listener]["bind"].rpartition(":")
    async with await Client.connect((host, int(port)), client_context(authority, user), LOGIN) as client:
        await client.send(request(host=LOGIN))
        response = await client.response()
    assert response.status == 200
    return response.body


def client_context(authority: Authority, user: Holder | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=der(authority.certificate))
    if user is not None:
        with TemporaryDirectory() as folder:
            files = user.write(Path(folder))
            context.load_cert_chain(files.chain, files.key)
    return context


async def test_requests_go_to_c1_and_c2_and_tls_is_passed_to_c3(home: Path, backends: Backends) -> None:
    files = CONNECTORS.server(LOGIN).write(home, "connector")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(files.chain, files.key)
    [c1] = await backends(serve)
    c2, c3 = await backends(serve, serve, tls=tls)
    async with running(home, c1, c2, c3) as balancer:
        for unused in ("listener.login.tls.mint", "pool.connectors.check.kerberos"):
            await balancer.logged("config_warning", unused)
        answers = Counter([await ask(balancer, "login", PUBLIC, ALICE) for _ in range(6)])
        assert answers == {b"c1": 3, b"c2": 3}
        assert [await ask(balancer, "raw", CONNECTORS) for _ in range(3)] == [b"c3"] * 3
        shown = b":" + base64.b64encode(der(ALICE.certificate)) + b":"
        told = [request.get("client-cert") for request in (*c1.requests, *c2.requests) if request.get("client-cert")]
        assert told == [shown] * 6
        assert await ask(balancer, "login", PUBLIC) in (b"c1", b"c2")
        with pytest.raises((ssl.SSLError, ConnectionError)):  # an alert, or the reset that overtook it
            await ask(balancer, "login", PUBLIC, BOB)
        await c1.stop()
        assert [await ask(balancer, "login", PUBLIC) for _ in range(2)] == [b"c2"] * 2
        assert await ask(balancer, "raw", CONNECTORS) == b"c3"
