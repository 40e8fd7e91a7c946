from __future__ import annotations

import asyncio
import hashlib
import ssl
from pathlib import Path

import pytest

from lbproxy.control.probes import ProbeResult
from lbproxy.control.probes.tls import TlsProbe
from tests.control.probes.backends import behind_proxy_protocol, hanging, listening, resetting, unused_port
from tests.control.probes.verifying import demanding, leaving, s_server
from tests.pki import DAY, HOUR, SERVER_AUTH, Authority, Holder, der

NAME = "login.corp.example"
ROOT = Authority.root()
LOGIN = ROOT.server(NAME)


def server(directory: Path, holder: Holder = LOGIN) -> ssl.SSLContext:
    files = holder.write(directory)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.chain, files.key)
    return context


@pytest.fixture
def trusting(tmp_path: Path) -> ssl.SSLContext:
    """The context of a client that trusts ROOT alone."""
    return ssl.create_default_context(cafile=ROOT.write_certificate(tmp_path / "ca.pem"))


@pytest.fixture
def believing() -> ssl.SSLContext:
    """The context of a client that takes every certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def probe(port: int, tls: ssl.SSLContext, name: str = NAME, greeting: bytes = b"") -> ProbeResult:
    return await TlsProbe("127.0.0.1", port, 10, tls, name, greeting).run()


async def test_a_certificate_that_is_verified(tmp_path: Path, trusting: ssl.SSLContext) -> None:
    async with listening(hanging, server(tmp_path)) as port:
        result = await probe(port, trusting)
    assert (result.ok, result.detail) == (True, "TLSv1.3, certificate verified")
    assert 0 < result.took < 10


async def test_of_one_that_is_not_verified_the_fingerprint_is_shown(tmp_path: Path, believing: ssl.SSLContext) -> None:
    fingerprint = hashlib.sha256(der(LOGIN.certificate)).hexdigest()
    async with listening(hanging, server(tmp_path)) as port:
        result = await probe(port, believing)
    assert (result.ok, result.detail) == (True, f"TLSv1.3, not verified: sha256 {fingerprint}")


@pytest.mark.parametrize(
    ("holder", "name", "why"),
    [
        (LOGIN, "other.corp.example", "Hostname mismatch"),
        (Authority.root("stranger").server(NAME), NAME, "unable to get local issuer certificate"),
        (
            ROOT.issue(NAME, dns=[NAME], usages=[SERVER_AUTH], starts=-2 * DAY, ends=-HOUR),
            NAME,
            "certificate has expired",
        ),
    ],
)
async def test_a_certificate_that_is_refused(
    tmp_path: Path, trusting: ssl.SSLContext, holder: Holder, name: str, why: str
) -> None:
    async with listening(hanging, server(tmp_path, holder)) as port:
        result = await probe(port, trusting, name)
    assert not result.ok
    assert result.detail.startswith(f"certificate refused: {why}")


async def test_a_header_before_tls(tmp_path: Path, trusting: ssl.SSLContext) -> None:
    async with listening(hanging, server(tmp_path)) as backend, behind_proxy_protocol(backend) as port:
        assert (await probe(port, trusting, greeting=b"PROXY UNKNOWN\r\n")).ok
        assert not (await probe(port, trusting)).ok


async def test_a_user_certificate_that_we_do_not_have_is_the_users_affair(
    tmp_path: Path, trusting: ssl.SSLContext
) -> None:
    """A connector that demands one has ended its part of a TLS 1.3 handshake before it can miss it."""
    context = server(tmp_path)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(tmp_path / "ca.pem")
    async with listening(hanging, context) as port:
        assert (await probe(port, trusting)).ok


# --- a certificate that is shown

ASKED = "does its CA_CERT contain the mint?"
MINT = Authority.root("mint")
VERSIONS = pytest.mark.parametrize(
    ("version", "option"), [(ssl.TLSVersion.TLSv1_2, "-tls1_2"), (ssl.TLSVersion.TLSv1_3, "-tls1_3")]
)


async def shown(port: int, tls: ssl.SSLContext, authority: Authority, directory: Path) -> ProbeResult:
    """What a probe finds that shows a certificate of `authority`."""
    files = authority.issue("lbproxy probe").write(directory, "probe")
    tls.load_cert_chain(files.chain, files.key)
    return await TlsProbe("127.0.0.1", port, 10, tls, NAME, question=ASKED).run()


@VERSIONS
async def test_a_certificate_of_an_authority_that_the_backend_has(
    tmp_path: Path, believing: ssl.SSLContext, version: ssl.TLSVersion, option: str
) -> None:
    files, ca = LOGIN.write(tmp_path), MINT.write_certificate(tmp_path / "mint.pem")
    async with listening(hanging, demanding(files, ca, version)) as port:
        assert (await shown(port, believing, MINT, tmp_path)).ok
    with s_server(files, ca, option) as port:
        assert (await shown(port, believing, MINT, tmp_path)).ok


@VERSIONS
async def test_a_certificate_of_one_that_it_does_not_have(
    tmp_path: Path, believing: ssl.SSLContext, version: ssl.TLSVersion, option: str
) -> None:
    """TLS 1.2 says so in the handshake, 1.3 after it."""
    files, ca = LOGIN.write(tmp_path), MINT.write_certificate(tmp_path / "mint.pem")
    with s_server(files, ca, option) as port:
        result = await shown(port, believing, Authority.root("another"), tmp_path)
    assert (result.ok, result.detail) == (False, f"TLS failed: tlsv1 alert unknown ca; {ASKED}")


async def test_a_backend_that_leaves_without_a_word(tmp_path: Path, believing: ssl.SSLContext) -> None:
    async with listening(leaving, server(tmp_path)) as port:
        result = await shown(port, believing, MINT, tmp_path)
    assert not result.ok
    assert result.detail in {
        f"closed the connection after the handshake; {ASKED}",
        f"connection reset by peer; {ASKED}",
    }


async def test_a_dead_backend_is_not_asked_about_its_authorities(believing: ssl.SSLContext, tmp_path: Path) -> None:
    assert (await shown(unused_port(), believing, MINT, tmp_path)).detail == "connection refused"


async def test_a_server_that_refuses_the_name(trusting: ssl.SSLContext) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        writer.write(b"\x15\x03\x03\x00\x02\x02\x70")  # fatal, unrecognized_name (RFC 6066 section 3)

    async with listening(refuse) as port:
        result = await probe(port, trusting)
    assert (result.ok, result.detail) == (False, "TLS failed: tlsv1 unrecognized name")


async def test_a_server_that_accepts_and_says_nothing(trusting: ssl.SSLContext) -> None:
    async with listening(hanging) as port:
        result = await TlsProbe("127.0.0.1", port, 0.05, trusting, NAME).run()
    assert (result.ok, result.detail) == (False, "timed out after 0.05 s")


async def test_a_server_that_resets(trusting: ssl.SSLContext) -> None:
    async with listening(resetting) as port:
        result = await probe(port, trusting)
    assert (result.ok, result.detail) == (False, "connection reset by peer")


async def test_nobody_listens(trusting: ssl.SSLContext) -> None:
    result = await probe(unused_port(), trusting)
    assert (result.ok, result.detail) == (False, "connection refused")
