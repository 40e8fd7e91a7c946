"""PROXY headers (HAProxy's doc/proxy-protocol.txt) from a balancer in front, and to backends that want one.

Users come from 127.0.0.2 and the balancer in front from 127.0.0.1, so that the two can be told apart.
"""

from __future__ import annotations

import asyncio
import ssl
import struct
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.wire.hellos import hello

from .backend import Lane, answer
from .balancer import Balancer
from .client import HOST, Client, request
from .conftest import Backends, Balance, Share
from .handshakes import SegmentedTls
from .haproxy import haproxy, needs_haproxy
from .programs import curl
from .progress import DEADLINE
from .test_rotation import QUICK
from .tls import Authority

USER = "127.0.0.2"
FROM_HERE = {"accept_proxy_protocol_from": ["127.0.0.1/32"]}

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def v1(source: str, destination: str = "192.0.2.1", ports: tuple[int, int] = (5000, 443)) -> bytes:
    family = f"TCP{ip_address(source).version}"
    return f"PROXY {family} {source} {destination} {ports[0]} {ports[1]}\r\n".encode()


def v2(source: str, destination: str = "192.0.2.1", ports: tuple[int, int] = (5000, 443), tlvs: bytes = b"") -> bytes:
    hosts = ip_address(source), ip_address(destination)
    block = b"".join(host.packed for host in hosts) + struct.pack("!HH", *ports) + tlvs
    return SIGNATURE + bytes((0x21, 0x11 if hosts[0].version == 4 else 0x21)) + struct.pack("!H", len(block)) + block


LOCAL = SIGNATURE + b"\x20\0\0\0"
UNSPEC = SIGNATURE + b"\x21\0\0\x05abcde"
TLVS = b"\x01\0\x02h2" + b"\x02\0\x0alogin.test" + b"\x04\0\x01\0" + b"\xee\0\x03abc"


async def tells(lane: Lane) -> None:
    """Answers with the X-Forwarded-For that it got."""
    while seen := await lane.request():
        await lane.send(answer(seen.get("x-forwarded-for") or b""))


def ended(name: str) -> str:
    """What the access log has for a client at `name` from port 5000."""
    return f"[{name}]:5000" if ":" in name else f"{name}:5000"


# --- from a balancer in front

GOOD = {
    "v1": (v1("203.0.113.7"), "203.0.113.7"),
    "v1 IPv6": (v1("2001:db8::7", "2001:db8::1"), "2001:db8::7"),
    "v1 UNKNOWN": (b"PROXY UNKNOWN\r\n", None),
    "v1 UNKNOWN and more": (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", None),
    "v2": (v2("203.0.113.7"), "203.0.113.7"),
    "v2 IPv6": (v2("2001:db8::7", "2001:db8::1"), "2001:db8::7"),
    "v2 IPv4 in IPv6": (v2("::ffff:203.0.113.7", "::ffff:192.0.2.1"), "203.0.113.7"),
    "v2 with TLVs": (v2("203.0.113.7", tlvs=TLVS), "203.0.113.7"),
    "v2 LOCAL": (LOCAL, None),
    "v2 of no known family": (UNSPEC, None),
}
"""Headers, and the user that each tells of; None: the connection's own address counts."""

BAD = {
    "none": request(),
    "a TLS hello": hello(HOST.encode()),
    "v1 of three numbers": b"PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n" + request(),
    "v1 of another family": v1("2001:db8::7", "2001:db8::1").replace(b"TCP6", b"TCP4") + request(),
    "v1 without end": b"PROXY UNKNOWN " + b"x" * 100,
    "v2 of version 3": SIGNATURE + b"\x31\x11\0\x0c" + bytes(12) + request(),
    "v2 too short for its addresses": SIGNATURE + b"\x21\x11\0\x04" + bytes(4) + request(),
    "v2 with a TLV too long": v2("203.0.113.7", tlvs=b"\x04\xff\xffa") + request(),
}


@pytest.fixture
def front(share: Share) -> Any:
    """`await front(**changes)`: a balancer that believes 127.0.0.1, before a backend that `tells`."""

    async def start(listener: dict[str, Any] | None = None, **changes: Any) -> Balancer:
        balancer: Balancer
        balancer, _ = await share(tells, listener={**FROM_HERE, **(listener or {})}, **changes)
        return balancer

    return start


async def test_what_a_header_tells_is_logged_and_passed_on(front: Any) -> None:
    """In one piece with the request, and byte by byte."""
    balancer: Balancer = await front()
    for sent, user in GOOD.values():
        for segment in (1 << 16, 1):
            whole = sent + request() + request()
            async with await balancer.connect() as client:
                await client.send(*(whole[at : at + segment] for at in range(0, len(whole), segment)))
                for _ in range(2):
                    assert (await client.response()).body == (user or "127.0.0.1").encode()
            await balancer.accessed(2, client=ended(user) if user else client.name)
            balancer.forget()


@pytest.mark.parametrize("version", [v1, v2])
async def test_tls_comes_after_the_header(front: Any, authority: Authority, version: Any) -> None:
    balancer: Balancer = await front(tls=True)
    for segment in (1 << 16, 1):
        client, ahead = await balancer.connect(tls=None), version("203.0.113.7")
        async with SegmentedTls(client, authority.client_context(), segment, ahead) as tls:
            assert (await tls.ask(request())).body == b"203.0.113.7"
    await balancer.accessed(2, client=ended("203.0.113.7"))


async def test_without_a_good_header_there_is_no_connection(front: Any) -> None:
    balancer: Balancer = await front()
    for number, sent in enumerate(BAD.values(), 1):
        async with await balancer.connect() as client:
            await client.send(sent)
            await client.closed()
        assert await ends(balancer, "proxy_header_malformed") == number
    assert not balancer.access


async def test_a_header_that_does_not_end_in_time(front: Any) -> None:
    balancer: Balancer = await front(listener={"header_timeout": "200ms"})
    for number, sent in enumerate((b"", b"PROXY TCP4 203.0", v2("203.0.113.7")[:-1]), 1):
        async with await balancer.connect() as client:
            await client.send(sent)
            await client.closed()
        assert await ends(balancer, "proxy_header_timeout") == number


async def ends(balancer: Balancer, reason: str) -> int:
    """How many connections ended for `reason`."""
    count: int = (await balancer.status())["ends"].get(reason, 0)
    return count


async def test_nobody_else_is_believed(front: Any, authority: Authority) -> None:
    """A header is no part of HTTP or TLS; without one, others are served as ever."""
    balancer: Balancer = await front()
    for header in (v1("203.0.113.7"), v2("203.0.113.7")):
        async with await balancer.connect(source=USER) as client:
            await client.send(header + request())
            assert (await client.response()).status == 400
        await balancer.accessed(client=client.name, status=400)
    async with await balancer.connect(source=USER) as client:
        assert (await client.ask()).body == USER.encode()


async def test_nobody_else_is_believed_before_tls(front: Any, authority: Authority) -> None:
    balancer: Balancer = await front(tls=True)
    before = await ends(balancer, "tls_failed")
    client = await balancer.connect(tls=None, source=USER)
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        await SegmentedTls(client, authority.client_context(), ahead=v1("203.0.113.7")).__aenter__()
    await client.close()
    assert await ends(balancer, "tls_failed") == before + 1


async def test_allow_is_about_the_user(backends: Backends, balance: Balance) -> None:
    balancer = await balance(*await backends(tells), listener={**FROM_HERE, "allow": ["203.0.113.0/24"]})
    async with await balancer.connect() as client:
        await client.send(v2("203.0.113.7") + request())
        assert (await client.response()).body == b"203.0.113.7"
    for header in (v2("198.51.100.1"), v2("2001:db8::7", "2001:db8::1"), LOCAL):
        async with await balancer.connect() as client:
            await client.send(header)
            await client.closed()
    assert (await balancer.status())["listeners"][0]["refused"] == {"not_allowed": 3}


async def test_connections_are_counted_by_user(front: Any) -> None:
    balancer: Balancer = await front(listener={"max_connections_per_address": 2})

    async def connected(user: str) -> tuple[Client, int]:
        client = await balancer.connect()
        await client.send(v1(user) + request())
        return client, (await client.response()).status

    first, second, third = [await connected("203.0.113.7") for _ in range(3)]
    other = await connected("203.0.113.8")
    direct = await balancer.connect(source=USER)
    assert [status for _, status in (first, second, third, other)] == [200, 200, 503, 200]
    assert (await direct.ask()).status == 200
    await first[0].close()
    await balancer.accessed(client=ended("203.0.113.7"))
    async with asyncio.timeout(DEADLINE):
        while (again := await connected("203.0.113.7"))[1] != 200:
            await again[0].close()
    for client in (second[0], third[0], other[0], again[0], direct):
        await client.close()
    assert (await balancer.status())["listeners"][0]["refused"]["too_many_from_address"] >= 1


@pytest.mark.parametrize("mode", ["tcp", "sni"])
async def test_headers_before_what_is_passed_through(backends: Backends, passes: Balance, mode: str) -> None:
    said = hello(HOST.encode())

    async def listens(lane: Lane) -> None:
        assert await lane.reader.readexactly(len(said)) == said
        await lane.send(b"c1")

    balancer = await passes(*await backends(listens), mode=mode, listener=FROM_HERE)
    async with await balancer.connect() as client:
        await client.send(v2("203.0.113.7", tlvs=TLVS) + said)
        assert await client.read(2) == b"c1"
    await balancer.accessed(client=ended("203.0.113.7"), host=HOST if mode == "sni" else "")


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_curl_tells_who_it_is(
    backends: Backends, balance: Balance, authority: Authority, directory: Path, tls: bool
) -> None:
    listener = {"accept_proxy_protocol_from": ["127.0.0.0/8"]}
    balancer = await balance(*await backends(tells), listener=listener, tls=tls)
    ca = authority.write_ca(directory / "ca.pem")
    options = ("--haproxy-protocol", "--interface", USER, "--cacert", ca)
    assert (await curl(balancer.address, "/", *options, scheme="https" if tls else "http")).out == USER
    refused = await curl(balancer.address, "/", "--cacert", ca, scheme="https" if tls else "http")
    assert (refused.status != 0, refused.out) == (True, "")


@needs_haproxy
@pytest.mark.parametrize("keyword", ["send-proxy", "send-proxy-v2", "send-proxy-v2-ssl"])
async def test_haproxy_in_front(front: Any, directory: Path, authority: Authority, keyword: str) -> None:
    """Its own checks say LOCAL; the users come after them, with TLS passed through."""
    balancer: Balancer = await front(tls=True)
    host, port = balancer.address
    server = f"server s {host}:{port} {keyword} check check-send-proxy check-ssl verify none inter 100ms"
    lines = (
        "mode tcp",
        "option httpchk",
        f"http-check send meth GET uri /checked ver HTTP/1.1 hdr Host {HOST}",
        server,
    )
    async with haproxy(directory, *lines) as address:
        async with await Client.connect(address, authority.client_context(), source=USER) as client:
            for _ in range(2):
                assert (await client.ask()).body == USER.encode()
        await balancer.accessed(2, client=client.name, target="/")
        checks = await balancer.accessed(target="/checked")
        assert checks[0]["client"].startswith("127.0.0.1:")


# --- to backends that want one


class Wants:
    """A script that reads a PROXY header, keeps it with the requests after it, and answers them."""

    def __init__(self) -> None:
        self.told: list[tuple[bytes, list[bytes]]] = []

    async def __call__(self, lane: Lane) -> None:
        targets: list[bytes] = []
        self.told.append((await header(lane.reader), targets))
        while seen := await lane.request():
            targets.append(seen.target)
            await lane.send(answer(b"ok"))


async def header(reader: asyncio.StreamReader) -> bytes:
    start = await reader.readexactly(1)
    if start == b"P":
        return start + await reader.readuntil(b"\r\n")
    start += await reader.readexactly(15)
    return start + await reader.readexactly(int.from_bytes(start[14:]))


def of(client: Client, balancer: Balancer, version: Any) -> bytes:
    """The header that tells of this connection."""
    host, _, port = client.name.rpartition(":")
    written: bytes = version(host, balancer.address[0], (int(port), balancer.address[1]))
    return written


VERSIONS = [pytest.param("v1", v1, id="v1"), pytest.param("v2", v2, id="v2")]


@pytest.mark.parametrize(("name", "version"), VERSIONS)
async def test_each_lane_is_of_the_user_that_its_header_tells(
    backends: Backends, balance: Balance, name: str, version: Any
) -> None:
    """So lanes are never shared: a request of another user would be taken for this one's."""
    scripts = [Wants(), Wants()]
    balancer = await balance(*await backends(*scripts), pool={"send_proxy_protocol": name})
    async with await balancer.connect(source=USER) as first, await balancer.connect(source="127.0.0.3") as second:
        for client in (first, second, second, first) * 3:
            assert (await client.ask(f"/{client.name}/")).status == 200
        users = {of(client, balancer, version): f"/{client.name}/".encode() for client in (first, second)}
    for script in scripts:
        assert len(script.told) == 2
        assert dict(script.told) == {told: [target] * 3 for told, target in users.items()}


@pytest.mark.parametrize(("name", "version"), VERSIONS)
async def test_what_was_told_is_passed_on(backends: Backends, balance: Balance, name: str, version: Any) -> None:
    """The user's own address, and the address that the user connected to."""
    script, told = Wants(), [v1("203.0.113.7"), v2("2001:db8::7", "2001:db8::1", tlvs=TLVS)]
    balancer = await balance(*await backends(script), listener=FROM_HERE, pool={"send_proxy_protocol": name})
    for sent in told:
        async with await balancer.connect() as client:
            await client.send(sent + request())
            assert (await client.response()).status == 200
    assert [header for header, _ in script.told] == [version("203.0.113.7"), version("2001:db8::7", "2001:db8::1")]


@pytest.mark.parametrize("mode", ["tcp", "sni"])
@pytest.mark.parametrize(("name", "version"), VERSIONS)
async def test_headers_to_what_is_passed_through_to(
    backends: Backends, passes: Balance, mode: str, name: str, version: Any
) -> None:
    said, told = hello(HOST.encode()), []

    async def listens(lane: Lane) -> None:
        told.append(await header(lane.reader))
        assert await lane.reader.readexactly(len(said)) == said
        await lane.send(b"c1")

    balancer = await passes(*await backends(listens), mode=mode, pool={"send_proxy_protocol": name})
    async with await balancer.connect(source=USER) as client:
        await client.send(said)
        assert await client.read(2) == b"c1"
        assert told == [of(client, balancer, version)]


@pytest.mark.parametrize(("name", "expected"), [("v1", b"PROXY UNKNOWN\r\n"), ("v2", LOCAL)])
@pytest.mark.parametrize("kind", ["tcp", "http"])
async def test_probes_tell_of_nobody(
    backends: Backends, balance: Balance, kind: str, name: str, expected: bytes
) -> None:
    script = Wants()
    [backend] = await backends(script)
    balancer = await balance(backend, pool={"send_proxy_protocol": name, "check": {"kind": kind, **QUICK}})
    await backend.until(lambda: len(script.told) >= 3)
    assert (await balancer.backends())["c1"]["state"] == "up"
    assert {told for told, _ in script.told} == {expected}


@needs_haproxy
@pytest.mark.parametrize("name", ["v1", "v2"])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_haproxy_behind(balance: Balance, directory: Path, authority: Authority, name: str, tls: bool) -> None:
    """It wants a header, and TLS after it, from users and probes alike."""
    pem, ca = directory / "both.pem", authority.write_ca(directory / "ca.pem")
    certificate = authority.write(directory, HOST)
    pem.write_bytes(certificate.chain.read_bytes() + certificate.key.read_bytes())
    bind = f"accept-proxy ssl crt {pem}" if tls else "accept-proxy"
    says = 'http-request return status 200 content-type text/plain lf-string "%[src]:%[src_port] %[dst]:%[dst_port]"'
    async with haproxy(directory, "mode http", says, bind=bind) as (_, port):
        behind = SimpleNamespace(name="c1", url=f"{'https' if tls else 'http'}://127.0.0.1:{port}")
        pool: dict[str, Any] = {"send_proxy_protocol": name, "check": {"kind": "http", **QUICK}}
        if tls:
            pool["tls"] = {"ca": str(ca), "server_name": HOST}
        balancer = await balance(behind, pool=pool)
        assert (await balancer.backends())["c1"]["state"] == "up"
        async with await balancer.connect(source=USER) as client:
            ours = f"{client.name} {':'.join(map(str, balancer.address))}"
            for _ in range(2):
                assert (await client.ask()).body == ours.encode()
