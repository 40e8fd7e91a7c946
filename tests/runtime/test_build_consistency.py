from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, AsyncExitStack, ExitStack
from pathlib import Path
from types import MappingProxyType

import pytest

from lbproxy.balance.backend import Backend
from lbproxy.balance.health import Rules
from lbproxy.balance.pool import Pool
from lbproxy.config import load
from lbproxy.control.consistency.guard import Guard
from lbproxy.errors import StartError
from lbproxy.runtime.build_consistency import make_guard
from lbproxy.runtime.build_probes import make_probes
from lbproxy.runtime.probe_certificate import make_identity
from tests.control.probes.backends import answering, behind_proxy_protocol, hanging, listening, unused_port
from tests.control.probes.kerberos.peers import HOST, PRINCIPAL, Connector, Corp, sample_connector
from tests.net.peers import until
from tests.pki import Authority, der
from tests.runtime import minting as mints

SERVER_URL = f"https://{HOST}"

FILE = """
server_url = "{server_url}"
[listener.login]
bind = "127.0.0.1:0"
{listener}
pool = "connectors"
[pool.connectors]
backends = [{backends}]
{pool}
{check}
{consistency}
"""

CHECK = 'check = { kind = "none", timeout = "10s" }'

Known = dict[str, dict[str, str | None]]
"""fact -> what it is on c1, c2 and so on, by the backend's name"""


class Guarded:
    """A pool whose backends, c1 and so on, were all found well, and its guard, if it has one."""

    def __init__(self, pool: Pool, guard: Guard | None, facts: list[str]) -> None:
        self.pool = pool
        self.guard = guard
        self._facts = facts

    async def facts(self) -> Known:
        """What was read of each backend, once there is something of all."""
        guard = self.guard
        assert guard is not None
        names = [backend.name for backend in self.pool.backends]
        await until(lambda: all(guard.troubles(name) or all(guard.facts(name).values()) for name in names))
        return {fact: {name: guard.facts(name)[fact] for name in names} for fact in self._facts}


Guards = Callable[..., Awaitable[Guarded]]


@pytest.fixture
async def guards(tmp_path: Path) -> AsyncIterator[Guards]:
    """`await guards("facts = ...", url, url)`: with more keys for the pool and the listener perhaps."""
    async with AsyncExitStack() as stack:

        async def guard(
            consistency: str,
            *urls: str,
            pool: str = "",
            listener: str = "",
            check: str = CHECK,
            registered: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
        ) -> Guarded:
            backends = ", ".join(f'{{ name = "c{number}", url = "{url}" }}' for number, url in enumerate(urls, 1))
            text = FILE.format(
                server_url=SERVER_URL,
                listener=listener,
                backends=backends,
                pool=pool,
                check=check,
                consistency=f'[pool.connectors.consistency]\ninterval = "1h"\n{consistency}' if consistency else "",
            )
            (tmp_path / "lbproxy.toml").write_text(text)
            options = load(tmp_path / "lbproxy.toml", {}).pools["connectors"]
            made = Pool("connectors", [Backend(entry.name, entry.url) for entry in options.backends], Rules())
            probes = make_probes(made, options, HOST)
            stack.push_async_callback(probes.close)
            for backend in made.backends:
                made.probed(backend, (await probes.by_name[backend.name].run()).ok, "", 1.0)
            probed = asyncio.Event()
            probed.set()
            guarding = make_guard(
                made, options, SERVER_URL, probes, probed, registered=lambda backend: registered.get(backend.name, {})
            )
            if guarding is not None:
                stack.push_async_callback(guarding.stop)
            return Guarded(made, guarding, list(options.consistency.facts))

        yield guard


def sample(*arguments: object) -> AbstractContextManager[Connector]:
    """A sample connector."""
    return sample_connector(["--name", "sample", *map(str, arguments)], {})


@pytest.fixture(scope="module")
def connectors() -> Iterator[dict[str, str]]:
    """The URLs of four: `right`, `old`, which has another version, `moved`, another SERVER_URL, and `lost`, none."""
    arguments = {
        "right": ("--version", "1.8.0", "--server-url", SERVER_URL),
        "old": ("--version", "1.7.0", "--server-url", SERVER_URL),
        "moved": ("--version", "1.8.0", "--server-url", "https://old.corp.example"),
        "lost": ("--version", "1.8.0", "--connector-id", "other"),
    }
    with ExitStack() as stack:
        yield {name: stack.enter_context(sample(*options)).url for name, options in arguments.items()}


# --- pages

VERSION = 'facts.version = { path = "/healthz", json = "/version" }'


async def test_versions_and_connector_ids(guards: Guards, connectors: dict[str, str]) -> None:
    consistency = f"""{VERSION}
facts.id = {{ path = "/healthz", regex = '"connectorId": *"(.*?)"' }}
facts.server = {{ path = "/nothing-there", header = "Server" }}
policy = "eject-minority"
"""
    four = await guards(consistency, *(connectors[name] for name in ("right", "old", "moved", "lost")))
    facts = await four.facts()
    assert facts["version"] == {"c1": "1.8.0", "c2": "1.7.0", "c3": "1.8.0", "c4": "1.8.0"}
    assert facts["id"] == {"c1": "demo", "c2": "demo", "c3": "demo", "c4": "other"}
    [server] = set(facts["server"].values())
    assert server is not None
    assert "aiohttp" in server
    await until(lambda: len(four.pool.rotation) == 3)
    assert [backend.inconsistent for backend in four.pool.backends] == [
        "",
        "version is 1.7.0, most have 1.8.0",
        "",
        "",
    ]


async def test_the_address_in_the_metadata_must_be_server_url(guards: Guards, connectors: dict[str, str]) -> None:
    """One that was told no SERVER_URL publishes what it was asked by, which is right too: users ask it the same way."""
    urls = (connectors[name] for name in ("right", "moved", "lost"))
    three = await guards("facts.address = { metadata = true }", *urls)
    assert (await three.facts())["address"] == {"c1": SERVER_URL, "c2": "https://old.corp.example", "c3": SERVER_URL}
    assert three.guard is not None
    await until(lambda: three.guard and three.guard.verdict.differences)
    [difference] = three.guard.verdict.differences
    assert (difference.names, difference.expected) == (("c2",), True)
    assert difference.text("c2") == f"address is https://old.corp.example, expected {SERVER_URL}"


async def test_a_page_that_is_not_there_is_said_to_be(guards: Guards, connectors: dict[str, str]) -> None:
    one = await guards('facts.version = { path = "/about", json = "/version" }', connectors["right"])
    assert one.guard is not None
    assert await one.facts() == {"version": {"c1": None}}
    assert one.guard.troubles("c1") == {"version": "the page answers with 404"}


async def test_what_was_registered(guards: Guards) -> None:
    """That of the fact's name; long values as their digest."""
    consistency = "facts.version = { registered = true }\nfacts.config = { registered = true }"
    fleet = '\n[fleet]\nname = "eu"\netcd = ["http://e:2379"]'
    three = await guards(
        consistency + fleet,
        *(f"http://c{number}" for number in range(3)),
        pool='discover = { kind = "etcd" }',
        registered={"c1": {"version": "1", "region": "eu"}, "c2": {"config": "x" * 200}, "c3": {}},
    )
    digest = "sha256:" + hashlib.sha256(b"x" * 200).hexdigest()
    assert await three.facts() == {
        "version": {"c1": "1", "c2": None, "c3": None},
        "config": {"c1": None, "c2": digest, "c3": None},
    }
    assert three.guard is not None
    assert three.guard.troubles("c2") == {"version": "it has registered no such fact"}


async def test_a_page_at_another_port_of_the_same_host(guards: Guards, connectors: dict[str, str]) -> None:
    port = connectors["old"].rpartition(":")[2]
    async with listening(hanging) as own:
        consistency = f'facts.version = {{ url = "http://{{host}}:{port}/healthz", json = "/version" }}'
        for url in (f"http://127.0.0.1:{own}", f"tcp://127.0.0.1:{own}"):
            listener = 'mode = "tcp"' if url.startswith("tcp") else ""
            one = await guards(consistency, url, pool='send_proxy_protocol = "v2"', listener=listener)
            assert await one.facts() == {"version": {"c1": "1.7.0"}}


async def test_a_backends_own_page_behind_a_proxy_header(guards: Guards, connectors: dict[str, str]) -> None:
    port = int(connectors["old"].rpartition(":")[2])
    async with behind_proxy_protocol(port) as expecting:
        one = await guards(VERSION, f"http://127.0.0.1:{expecting}", pool='send_proxy_protocol = "v1"')
        assert await one.facts() == {"version": {"c1": "1.7.0"}}


async def test_what_is_long_is_compared_by_its_digest(guards: Guards) -> None:
    long = "x" * 500
    page = answering(b"HTTP/1.1 200 OK\r\nX-Long: %s\r\nContent-Length: 0\r\n\r\n" % long.encode())
    async with listening(page) as port:
        consistency = f'facts.long = {{ path = "/", header = "X-Long", equal = "{long}" }}'
        one = await guards(consistency, f"http://127.0.0.1:{port}")
        assert await one.facts() == {"long": {"c1": f"sha256:{hashlib.sha256(long.encode()).hexdigest()}"}}
        assert one.guard is not None
        assert one.guard.verdict.differences == ()


async def test_a_page_has_the_time_of_a_check(guards: Guards) -> None:
    async with listening(hanging) as port:
        one = await guards(VERSION, f"http://127.0.0.1:{port}", check=CHECK.replace("10s", "50ms"))
        assert one.guard is not None
        await one.facts()
        assert one.guard.troubles("c1") == {"version": "no answer within 0.05 s"}


# --- certificates

ROOT = Authority.root()


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[tuple[list[str], list[str]]]:
    """The URLs of two connectors with TLS, and their certificates' fingerprints; ca.pem has their authority."""
    ROOT.write_certificate(tmp_path / "ca.pem")
    leaves = [ROOT.server(HOST), ROOT.server(HOST)]
    with ExitStack() as stack:
        urls = []
        for number, leaf in enumerate(leaves):
            files = leaf.write(tmp_path, f"leaf{number}")
            urls.append(stack.enter_context(sample("--tls-cert", files.chain, "--tls-key", files.key)).url)
        yield urls, [hashlib.sha256(der(leaf.certificate)).hexdigest() for leaf in leaves]


async def test_certificates_and_pages_behind_tls(guards: Guards, secured: tuple[list[str], list[str]]) -> None:
    urls, fingerprints = secured
    as_openssl_prints_it = ":".join(re.findall("..", fingerprints[0])).upper()
    consistency = f'{VERSION}\nfacts.certificate = {{ certificate = true, equal = "{as_openssl_prints_it}" }}'
    two = await guards(consistency, *urls, pool=f'tls = {{ ca = "ca.pem", server_name = "{HOST}" }}')
    assert await two.facts() == {
        "version": {"c1": "1.7.0", "c2": "1.7.0"},
        "certificate": dict(zip(("c1", "c2"), fingerprints, strict=True)),
    }
    assert two.guard is not None
    await until(lambda: two.guard and two.guard.verdict.differences)
    assert two.guard.verdict.differences[0].names == ("c2",)


async def test_pages_are_verified_and_certificates_are_only_compared(
    guards: Guards, secured: tuple[list[str], list[str]]
) -> None:
    urls, fingerprints = secured
    consistency = f"{VERSION}\nfacts.certificate = {{ certificate = true }}"
    strict = await guards(consistency, urls[0])
    assert await strict.facts() == {"version": {"c1": None}, "certificate": {"c1": fingerprints[0]}}
    assert strict.guard is not None
    assert strict.guard.troubles("c1")["version"].startswith("certificate refused: unable to get local issuer")
    lax = await guards(consistency, urls[0], pool="tls = { verify = false }")
    assert (await lax.facts())["version"] == {"c1": "1.7.0"}


async def test_the_certificate_of_what_passes_through(guards: Guards, secured: tuple[list[str], list[str]]) -> None:
    urls, fingerprints = secured
    passed = [url.replace("https:", "tcp:") for url in urls]
    two = await guards("facts.certificate = { certificate = true }", *passed, listener='mode = "tcp"')
    assert list((await two.facts())["certificate"].values()) == fingerprints


async def test_a_file_that_cannot_be_used_prevents_a_start(guards: Guards, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    url = f"https://127.0.0.1:{unused_port()}"
    with pytest.raises(StartError, match=r"pool\.connectors\.tls"):
        await guards(VERSION, url, pool='tls = { ca = "ca.pem" }')


# --- keys


@pytest.fixture
def corp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Corp]:
    corp = Corp(tmp_path / "realm")
    monkeypatch.setenv("KRB5_CONFIG", corp.realm.env["KRB5_CONFIG"])
    yield corp
    corp.realm.stop()


async def test_the_version_of_the_key_that_a_kerberos_check_has_seen(guards: Guards, corp: Corp) -> None:
    check = f"""
[pool.connectors.check]
kind = "kerberos"
path = "/wsfed"
timeout = "10s"
kerberos = {{ principal = "{PRINCIPAL}", keytab = "{corp.probe_keytab}", spn = "HTTP@{HOST}" }}
"""
    new = corp.rotate()
    with corp.sample_connector("--keytab", new) as connector:
        one = await guards("facts.key = { kvno = true }", connector.url, check="", pool=check)
        assert await one.facts() == {"key": {"c1": "2"}}


# --- none


@pytest.mark.parametrize("consistency", ["", f'{VERSION}\npolicy = "off"'])
async def test_nothing_to_compare(guards: Guards, consistency: str) -> None:
    assert (await guards(consistency, f"http://127.0.0.1:{unused_port()}")).guard is None


async def test_facts_are_read_with_the_ticket_of_a_kerberos_check(guards: Guards, corp: Corp) -> None:
    """On the connector's own pages; a server at another port is not shown it."""
    check = f"""
[pool.connectors.check]
kind = "kerberos"
path = "/wsfed"
timeout = "10s"
kerberos = {{ principal = "{PRINCIPAL}", keytab = "{corp.probe_keytab}", spn = "HTTP@{HOST}" }}
"""
    heads = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")

    async with listening(serve) as beside:
        facts = f"""
[pool.connectors.consistency.facts]
user = {{ path = "/wsfed", json = "/user" }}
beside = {{ url = "http://{{host}}:{beside}/about", header = "Server" }}
"""
        with corp.sample_connector("--keytab", corp.keytab) as connector:
            pool = await guards(facts, connector.url, check=check)
            await until(lambda: pool.guard is not None and bool(pool.guard.troubles("c1")))
            assert pool.guard is not None
            assert pool.guard.facts("c1")["user"] == PRINCIPAL
    assert pool.guard.troubles("c1") == {"beside": "the answer has no Server"}
    assert [b"Authorization" in head for head in heads] == [False]


# --- backends that are shown minted certificates


async def minted_facts(directory: Path, believed: Authority) -> tuple[dict[str, str | None], dict[str, str]]:
    """The facts that are read at a backend which believes that mint only, and the troubles."""
    page = answering(b'HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n{"version": "1.8"}')
    facts = 'facts.version = { path = "/healthz", json = "/version" }\nfacts.shown = { certificate = true }'
    async with listening(page, mints.believing(directory, believed)) as port:
        pool = f'check = {{ kind = "none", timeout = "10s" }}\n[pool.connectors.consistency]\n{facts}'
        config = mints.configuration(directory, port, pool=pool)
        options, identity = config.pools["connectors"], make_identity(config, "connectors")
        made = Pool("connectors", [Backend(entry.name, entry.url) for entry in options.backends], Rules())
        made.probed(made.backends[0], True, "", 1.0)
        probes = make_probes(made, options, mints.HOST, identity=identity)
        probed = asyncio.Event()
        probed.set()
        guard = make_guard(made, options, config.server_url, probes, probed, identity)
        assert guard is not None
        await until(lambda: guard.troubles("c1") or all(guard.facts("c1").values()))
        await guard.stop()
        await probes.close()
        return guard.facts("c1"), guard.troubles("c1")


async def test_pages_of_a_backend_that_lets_in_certificates_only(tmp_path: Path) -> None:
    facts, troubles = await minted_facts(tmp_path, mints.MINT)
    assert (facts["version"], troubles) == ("1.8", {})


async def test_a_backend_that_does_not_believe_the_mint(tmp_path: Path) -> None:
    """Its certificate is seen all the same."""
    facts, troubles = await minted_facts(tmp_path, Authority.root("another"))
    assert facts["version"] is None
    assert facts["shown"] is not None
    assert troubles["version"].endswith(mints.QUESTION)
