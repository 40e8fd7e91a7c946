from __future__ import annotations

import asyncio
import contextlib
import ssl
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lbproxy.auth.mint import Mint, Minted
from lbproxy.auth.probe_identity import ProbeIdentity, default_subject
from lbproxy.balance.backend import Backend as Connector
from lbproxy.config import Backend, Pool, PoolTls
from lbproxy.errors import StartError
from lbproxy.runtime import backend_tls
from lbproxy.runtime.probe_certificate import Identity, make_identity
from lbproxy.wire.proxyproto import ProxyHeader, parse
from tests.control.probes.backends import listening
from tests.pki import Authority
from tests.runtime import minting as mints

BACKENDS = (Backend.model_construct(name="c1", url="http://127.0.0.1:1"),)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_header_that_tells_of_nobody(version: str) -> None:
    greeting = backend_tls.greeting(Pool.model_construct(backends=BACKENDS, send_proxy_protocol=version))
    assert parse(greeting) == ProxyHeader(len(greeting), None, None)


def test_backends_that_want_no_header_get_none() -> None:
    assert backend_tls.greeting(Pool.model_construct(backends=BACKENDS)) == b""


def test_only_the_backends_own_port_gets_a_header() -> None:
    pool = Pool.model_construct(backends=BACKENDS, send_proxy_protocol="v1")
    for backend, own, other in (
        (Connector("c1", "http://10.0.0.1"), "http://10.0.0.1/x", "http://10.0.0.1:8080/x"),
        (Connector("c2", "tcp://[::1]:443"), "https://[::1]/x", "http://[::1]/x"),
    ):
        assert backend_tls.greeting_at(pool, backend, own) == b"PROXY UNKNOWN\r\n"
        assert backend_tls.greeting_at(pool, backend, other) == b""


def test_the_authorities_that_are_named_and_no_others(tmp_path: Path) -> None:
    ca = Authority.root("ours").write_certificate(tmp_path / "ca.pem")
    context = backend_tls.context(PoolTls.model_construct(ca=ca), verify=True)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    [trusted] = context.get_ca_certs()
    assert trusted["subject"] == ((("commonName", "ours"),),)


def test_without_verification() -> None:
    context = backend_tls.context(PoolTls(), verify=False)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_NONE, False)


@pytest.mark.parametrize("verify", [True, False])
def test_our_own_certificate_is_one_that_can_be_used(tmp_path: Path, verify: bool) -> None:
    files = Authority.root().issue("lbproxy").write(tmp_path)
    other = Authority.root().issue("other").write(tmp_path, "other")
    backend_tls.context(PoolTls.model_construct(certificate=files.chain, key=files.key), verify)
    with pytest.raises(ssl.SSLError):
        backend_tls.context(PoolTls.model_construct(certificate=files.chain, key=other.key), verify)


def test_the_contexts_that_are_needed(tmp_path: Path) -> None:
    assert backend_tls.contexts("connectors", PoolTls(), set()) == {}
    made = backend_tls.contexts("connectors", PoolTls(), {False, True})
    assert {verify: context.check_hostname for verify, context in made.items()} == {False: False, True: True}
    with pytest.raises(StartError, match=r"pool\.connectors\.tls: its files cannot be used"):
        backend_tls.contexts("connectors", PoolTls.model_construct(ca=tmp_path / "none.pem"), {True})


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OSError):  # noqa: PT011  # its text is the system's
        backend_tls.context(PoolTls.model_construct(ca=tmp_path / "none.pem"), verify=True)


@contextlib.asynccontextmanager
async def serving(authority: Authority) -> AsyncIterator[int]:
    """A port where a certificate of `authority` for login.test is shown."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as directory:
        files = authority.server("login.test").write(Path(directory))
        context.load_cert_chain(files.chain, files.key)

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1]


async def shake_hands(port: int, context: ssl.SSLContext) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="login.test")
    writer.transport.abort()


async def test_authorities_that_change_are_believed_from_then_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A probe must not eject every backend because their certificates are of an authority that `ca` has by now."""
    old, new = Authority.root("old"), Authority.root("new")
    ca = old.write_certificate(tmp_path / "ca.pem")
    context = backend_tls.contexts("connectors", PoolTls.model_construct(ca=ca), {True})[True]
    async with serving(old) as before, serving(new) as after:
        await shake_hands(before, context)
        with pytest.raises(ssl.SSLCertVerificationError):
            await shake_hands(after, context)
        ca.write_text("half of a fi")
        await shake_hands(before, context)
        assert [record.message for record in caplog.records] == ["certificate_kept"]
        new.write_certificate(ca)
        await shake_hands(after, context)
        with pytest.raises(ssl.SSLCertVerificationError):
            await shake_hands(before, context)


async def test_a_minted_certificate_is_renewed_for_the_next_handshake(tmp_path: Path) -> None:
    """A probe that runs for months must not show the one that it began with."""
    now = [float(int(time.time()))]
    probe = ProbeIdentity(Mint(mints.MINT.certificate, mints.MINT.key, 600.0), default_subject(mints.MINT.certificate))

    class Timed(Identity):
        def current(self) -> Minted:
            return probe.current(now[0])

    context = backend_tls.contexts("connectors", PoolTls(), {False}, Timed(probe))[False]
    seen: asyncio.Queue[int] = asyncio.Queue()

    async def look(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.put_nowait(writer.get_extra_info("peercert")["serialNumber"])
        writer.close()

    serials = []
    async with listening(look, mints.believing(tmp_path)) as port:
        for later in (0.0, 299.0, 1.0, 299.0):
            now[0] += later
            await shake_hands(port, context)
            serials.append(await seen.get())
    assert serials[0] == serials[1] != serials[2] == serials[3]


def test_where_a_page_is(tmp_path: Path) -> None:
    config = mints.configuration(tmp_path, 1)
    options, backend = config.pools["connectors"], Connector("c1", "https://127.0.0.1:1")
    towards = backend_tls.Towards("connectors", options, {True}, make_identity(config, "connectors"))
    assert towards.at(backend, "https://127.0.0.1:1/x") is towards.itself
    assert towards.at(backend, "https://127.0.0.1:2/x") is towards.elsewhere
    assert towards.question_at(backend, "https://127.0.0.1:1/x") == mints.QUESTION
    assert towards.question_at(backend, "https://127.0.0.1:2/x") == ""
    bare = backend_tls.Towards("connectors", options, {True}, None)
    assert bare.at(backend, "https://127.0.0.1:1/x") is bare.itself is bare.elsewhere
    assert bare.question_at(backend, "https://127.0.0.1:1/x") == ""
