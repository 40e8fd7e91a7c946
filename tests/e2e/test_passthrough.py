"""Mode sni: TLS passes through unread, to the pool of the name that the client asks for."""

from __future__ import annotations

import json
import re
import ssl
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from tests.pki import Authority, Files
from tests.wire.hellos import KEY_SHARE, extension, hello, message, record, records, server_name, vector

from .backend import Lane, ScriptedBackend
from .balancer import Balancer, running
from .client import HOST, Client, request
from .conftest import Backends, Balance
from .connectors import connectors
from .handshakes import SegmentedTls
from .passing import passing
from .programs import curl, s_client
from .test_rotation import QUICK, until_state

WSFED = request("/wsfed", "GET", "Connection: close")

UNEXPECTED_MESSAGE, ILLEGAL_PARAMETER, DECODE_ERROR = 10, 47, 50
INTERNAL_ERROR, MISSING_EXTENSION, UNRECOGNIZED_NAME = 80, 109, 112
"""Alerts of RFC 8446 section 6."""


# --- real clients, real connectors


@dataclass(frozen=True)
class Site:
    """A balancer of mode sni before three sample connectors; `user` is the certificate of one whom they believe."""

    balancer: Balancer
    ca: Path
    user: Files

    def context(self) -> ssl.SSLContext:
        """Of a client that trusts the connectors' authority."""
        context = ssl.create_default_context(cafile=self.ca)
        context.load_cert_chain(self.user.chain, self.user.key)
        return context


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shared_site() -> AsyncIterator[Site]:
    with tempfile.TemporaryDirectory(prefix="lbp-") as name:
        async with _built(Path(name)) as site:
            yield site


@pytest.fixture
def site(shared_site: Site) -> Site:
    shared_site.balancer.forget()
    return shared_site


@asynccontextmanager
async def _built(directory: Path) -> AsyncIterator[Site]:
    root, users = Authority.root("connectors"), Authority.root("users")
    ca = root.write_certificate(directory / "ca.pem")
    user = users.issue("alice").write(directory, "alice")
    server = root.intermediate().server(HOST).write(directory, "server")
    believed = users.write_certificate(directory / "users.pem")
    check = {"kind": "tls", "interval": "200ms", "timeout": "10s"}
    pool = {"check": check, "tls": {"ca": str(ca), "server_name": HOST}}
    async with (
        connectors(directory, server, believed) as fleet,
        running(passing(directory, fleet, "sni", pool=pool), directory) as balancer,
    ):
        yield Site(balancer, ca, user)


async def test_openssl_verifies_the_connectors_own_certificate(site: Site) -> None:
    """With either version of TLS; the user signs in with the certificate that the connector sees."""
    for version, protocol in (("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")):
        options = ("-CAfile", site.ca, "-verify_return_error", version, "-cert", site.user.chain, "-key", site.user.key)
        shown = await s_client(site.balancer.address, *options, asks=WSFED)
        assert (shown.verified, shown.protocol, shown.alert) == (True, protocol, None), shown
        assert f"subject=CN = {HOST}" in shown.text
        assert '"user": "alice"' in shown.text
    assert len(await site.balancer.accessed(2, host=HOST, protocol="TCP", user="")) == 2


async def test_curl_signs_in_wherever_its_connection_goes(site: Site) -> None:
    options = ("--cacert", site.ca, "--cert", site.user.chain, "--key", site.user.key)
    answers = [json.loads((await curl(site.balancer.address, "/wsfed", *options)).out) for _ in range(9)]
    assert Counter(facts["instance"] for facts in answers) == {"c1": 3, "c2": 3, "c3": 3}
    assert {(facts["user"], facts["how"], facts["certificate_issuer"]) for facts in answers} == {
        ("alice", "certificate", "users")
    }
    # The connector's close_notify, which curl does not wait for, may find it gone: that blames no backend.
    assert {ended["reason"] for ended in await site.balancer.accessed(9)} <= {"tunnel_done", "client_gone"}


async def test_who_has_no_certificate_gets_the_sign_in_page(site: Site) -> None:
    assert "<form" in (await curl(site.balancer.address, "/wsfed", "--cacert", site.ca)).out


async def test_requests_of_one_connection_stay_at_one_connector(site: Site) -> None:
    async with await site.balancer.connect(tls=site.context()) as client:
        answers = [json.loads((await client.ask("/wsfed")).body) for _ in range(5)]
    assert len({facts["instance"] for facts in answers}) == 1
    assert [facts["request"] for facts in answers] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("protocols", [0, 80], ids=["small", "several KB"])
@pytest.mark.parametrize("segment", [1, 1000, 1 << 16])
async def test_a_hello_may_come_in_any_pieces(site: Site, protocols: int, segment: int) -> None:
    """One byte a segment too. What makes it large here are names of protocols, which the connector ignores."""
    context = site.context()
    if protocols:
        context.set_alpn_protocols([f"{number:064}" for number in range(protocols)])
    async with SegmentedTls(await site.balancer.connect(), context, segment) as tls:
        assert len(tls.hello) > 65 * protocols
        assert json.loads((await tls.ask(request("/wsfed"))).body)["user"] == "alice"


async def test_a_connector_whose_certificate_is_not_good_is_out(directory: Path) -> None:
    """The probe's handshake is what a user's would be."""
    root = Authority.root("connectors")
    ca = root.write_certificate(directory / "ca.pem")
    good, other = root.server(HOST).write(directory, "good"), root.server("other.test").write(directory, "other")
    pool = {"check": {"kind": "tls", **QUICK}, "tls": {"ca": str(ca), "server_name": HOST}}
    async with (
        connectors(directory, good, ca, names=("c1",)) as first,
        connectors(directory, other, ca, names=("c2",)) as second,
        running(passing(directory, [*first, *second], "sni", pool=pool), directory) as balancer,
    ):
        status = await balancer.backends()
        assert (status["c1"]["state"], status["c2"]["state"]) == ("up", "down")
        assert "Hostname mismatch" in status["c2"]["probe"]["detail"]
        for _ in range(3):
            shown = await s_client(balancer.address, "-CAfile", ca, asks=WSFED)
            assert shown.verified


# --- hellos made by hand


async def greets(lane: Lane) -> None:
    """Says its name to everybody."""
    await lane.send(lane.backend.name.encode())
    await lane.until_closed()


@dataclass(frozen=True)
class Door:
    """A balancer of mode sni before one scripted backend, shared by the tests that need nothing special."""

    balancer: Balancer
    backend: ScriptedBackend


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def one_door() -> AsyncIterator[Door]:
    backend = ScriptedBackend("c1")
    await backend.start()
    try:
        with tempfile.TemporaryDirectory(prefix="lbp-") as name:
            async with running(passing(Path(name), [backend], "sni"), Path(name)) as balancer:
                yield Door(balancer, backend)
    finally:
        await backend.stop()
    backend.check()


@pytest.fixture
def door(one_door: Door) -> Door:
    """Nothing of earlier tests is in its records."""
    one_door.backend.script = greets
    one_door.backend.forget()
    one_door.balancer.forget()
    return one_door


class Received:
    """A script that greets what each lane received, and says its backend's name once `expected` is there."""

    def __init__(self, expected: bytes) -> None:
        self.expected = expected
        self.received: list[bytes] = []

    async def __call__(self, lane: Lane) -> None:
        self.received.append(await lane.reader.readexactly(len(self.expected)))
        await lane.send(lane.backend.name.encode())
        await lane.until_closed()


def post_quantum(name: bytes = HOST.encode()) -> bytes:
    """A hello of several KB: before the name, key shares of the three groups that ML-KEM is a part of, and X25519."""
    sizes = {0x11EC: 1216, 0x11EB: 1249, 0x11ED: 1665, 0x001D: 32}
    shares = b"".join(group.to_bytes(2) + vector(2, bytes(size)) for group, size in sizes.items())
    return message(extension(KEY_SHARE, vector(2, shares)) + server_name(name))


HELLOS = {
    "post-quantum": records(post_quantum()),
    "as a browser's": hello(HOST.encode()),
    "in records of 100 bytes": records(post_quantum(), 100),
    "in records of one byte": records(post_quantum(), 1),
    "with early data after it": hello(HOST.encode()) + record(b"early" * 500, kind=23),
    "in capitals": hello(HOST.upper().encode()),
}


@pytest.mark.parametrize("segment", [1, 1 << 16], ids=["byte by byte", "at once"])
@pytest.mark.parametrize("name", HELLOS)
async def test_the_bytes_of_a_hello_arrive_unchanged(door: Door, name: str, segment: int) -> None:
    sent = HELLOS[name]
    door.backend.script = script = Received(sent)
    async with await door.balancer.connect() as client:
        await client.send(*(sent[at : at + segment] for at in range(0, len(sent), segment)))
        assert await client.read(2) == b"c1"
    assert script.received == [sent]


NAMES = {"login.test": b"c1", "sso.test": b"c2", "a.sso.test": b"c2", "b.sso.test": b"c2", "a.b.sso.test": None}


async def test_names_lead_to_their_pools(directory: Path, backends: Backends) -> None:
    first, second = await backends(greets, greets)
    listener = {"sni": {HOST: "connectors", "sso.test": "sso", "*.sso.test": "sso"}}
    config = passing(directory, [first], "sni", listener=listener)
    config["pool"]["sso"] = {**config["pool"]["connectors"], "backends": [member_of(second)]}
    async with running(config, directory) as balancer:
        for name, wanted in NAMES.items():
            async with await balancer.connect() as client:
                await client.send(hello(name.encode()))
                if wanted is None:
                    assert await alert(client) == UNRECOGNIZED_NAME, name
                else:
                    assert await client.read(2) == wanted, name


def member_of(backend: ScriptedBackend) -> dict[str, str]:
    return {"name": backend.name, "url": f"tcp://127.0.0.1:{backend.port}"}


# --- who is turned away, and how


async def alert(client: Client) -> int:
    """The description in the one fatal alert that the client gets, after which lbproxy closes in order."""
    said = await client.rest()
    assert (said[:6], len(said)) == (b"\x15\x03\x03\x00\x02\x02", 7), said
    return said[6]


HTTP = b"GET / HTTP/1.1\r\nHost: login.test\r\n\r\n"
SSL2 = b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" + bytes(37)
IP = records(message(server_name(b"192.0.2.1")))
CONTROL = records(message(server_name(b'a"\r\n\x1b[31m.test')))
LONG = records(message(extension(21, bytes(65000)) + server_name(HOST.encode())), 100)
TWICE = records(message(server_name(HOST.encode()) * 2))

REFUSED = {
    "another name": (hello(b"other.test"), UNRECOGNIZED_NAME, "sni_unknown", "other.test"),
    "no name": (hello(None), MISSING_EXTENSION, "sni_missing", ""),
    "HTTP": (HTTP, UNEXPECTED_MESSAGE, "not_tls", ""),
    "SSL 2": (SSL2, UNEXPECTED_MESSAGE, "not_tls", ""),
    "no hello": (record(message(b"", kind=2)), UNEXPECTED_MESSAGE, "hello_malformed", ""),
    "an address": (IP, ILLEGAL_PARAMETER, "hello_malformed", ""),
    "control characters": (CONTROL, ILLEGAL_PARAMETER, "hello_malformed", ""),
    "too long": (LONG, ILLEGAL_PARAMETER, "hello_malformed", ""),
    "two names": (TWICE, ILLEGAL_PARAMETER, "hello_malformed", ""),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_who_cannot_be_routed_gets_an_alert(door: Door, case: str) -> None:
    sent, wanted, reason, name = REFUSED[case]
    before = await counted(door.balancer, reason)
    async with await door.balancer.connect() as client:
        await client.send(sent)
        assert await alert(client) == wanted
    [ended] = await door.balancer.accessed(reason=reason)
    assert (ended["client"], ended["host"], ended["backend"]) == (client.name, name, "")
    assert await counted(door.balancer, reason) == before + 1
    assert not door.backend.lanes


async def counted(balancer: Balancer, reason: str) -> int:
    """How often connections ended for `reason`, by the metrics."""
    metrics = (await balancer.admin("/metrics")).body.decode()
    found = re.search(rf'^lbproxy_ends_total{{reason="{reason}"}} (\d+)', metrics, re.MULTILINE)
    return int(found[1]) if found else 0


async def test_a_hello_that_does_not_end_in_time(backends: Backends, passes: Balance) -> None:
    [backend] = await backends(greets)
    balancer = await passes(backend, mode="sni", listener={"header_timeout": "300ms"})
    for count, sent in enumerate((b"", hello(HOST.encode())[:-1]), 1):
        async with await balancer.connect() as client:
            await client.send(sent)
            assert await alert(client) == DECODE_ERROR
        await balancer.accessed(count, reason="hello_timeout")
    assert not backend.lanes


async def test_a_client_that_leaves_before_its_hello_is_whole(door: Door) -> None:
    async with await door.balancer.connect() as client:
        await client.send(hello(HOST.encode())[:-1])
    await door.balancer.accessed(reason="client_gone")
    assert not door.backend.lanes


async def test_openssl_understands_the_alerts(door: Door) -> None:
    assert (await s_client(door.balancer.address, name="other.test")).alert == UNRECOGNIZED_NAME
    assert (await s_client(door.balancer.address, name=None)).alert == MISSING_EXTENSION


async def test_dead_backends(backends: Backends, passes: Balance) -> None:
    """The next one is asked; when there is none the client is told in TLS."""
    first, second = await backends(greets, Received(hello(HOST.encode())))
    balancer = await passes(first, second, mode="sni", pool={"when_all_down": "refuse"})
    await first.stop()
    async with await balancer.connect() as client:
        await client.send(hello(HOST.encode()))
        assert await client.read(2) == b"c2"
    await until_state(balancer, "c1", "down")
    await second.stop()
    for _ in range(2):
        async with await balancer.connect() as client:
            await client.send(hello(HOST.encode()))
            assert await alert(client) == INTERNAL_ERROR
    await balancer.accessed(2, reason="no_backend")


async def test_one_connection_too_many_is_told_in_tls(backends: Backends, passes: Balance) -> None:
    balancer = await passes(*await backends(greets), mode="sni", listener={"max_connections": 1})
    async with await balancer.connect() as client:
        await client.send(hello(HOST.encode()))
        assert await client.read(2) == b"c1"
        async with await balancer.connect() as second:
            assert await alert(second) == INTERNAL_ERROR
