"""The listener's TLS: versions, protocols, and a certificate that is replaced while it runs."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from .balancer import Balancer, command, running
from .configuration import configuration, toml
from .conftest import Backends, Balance
from .message import Response
from .progress import DEADLINE
from .tls import Authority


async def serial(balancer: Balancer) -> str:
    """The serial number of the certificate that a new connection gets."""
    async with await balancer.connect() as client:
        certificate: dict[str, str] = client.writer.get_extra_info("peercert")
        return certificate["serialNumber"]


async def until_changed(balancer: Balancer, old: str) -> str:
    """Connect until the certificate is another one than `old`."""
    async with asyncio.timeout(DEADLINE):
        while (now := await serial(balancer)) == old:  # noqa: ASYNC110  # files are read when they are looked at
            await asyncio.sleep(0.02)
        return now


async def test_a_replaced_certificate_is_picked_up(
    backends: Backends, balance: Balance, authority: Authority, directory: Path
) -> None:
    balancer = await balance(*await backends(), tls=True)
    async with await balancer.connect() as kept:
        assert (await kept.ask()).status == 200
        first = await serial(balancer)
        authority.write(directory, "login.test")
        second = await until_changed(balancer, first)
        authority.write(directory, "login.test")
        assert await until_changed(balancer, second) not in (first, second)
        assert (await kept.ask()).status == 200


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_broken_certificate_leaves_the_old_one(
    backends: Backends, balance: Balance, authority: Authority, directory: Path, workers: int
) -> None:
    """And says so; a later good one is picked up."""
    balancer = await balance(*await backends(), tls=True, workers=workers)
    first, chain = await serial(balancer), directory / "chain.pem"
    chain.write_text("not a certificate")
    await balancer.logged(str(chain))
    status = await balancer.until(lambda now: now["tls_files"][0]["refused"] is not None)
    assert str(chain) in status["tls_files"][0]["refused"]["why"]
    assert [one["path"] for one in status["expiries"]] == [str(chain)] * len(status["expiries"]) != []
    assert await serial(balancer) == first
    authority.write(directory, "login.test")
    assert await until_changed(balancer, first) != first
    await balancer.until(lambda now: now["tls_files"][0]["refused"] is None)


async def test_a_key_that_does_not_fit_cannot_start(backends: Backends, authority: Authority, directory: Path) -> None:
    [backend] = await backends()
    certificate = authority.write(directory, "login.test")
    chain = certificate.chain.read_bytes()
    authority.write(directory, "login.test")
    certificate.chain.write_bytes(chain)
    path = directory / "lbproxy.toml"
    path.write_text(toml(configuration(directory, [(backend.name, backend.url)], certificate=certificate)))
    for name in ("run", "check"):
        code, out, err = await command(name, "-c", str(path))
        assert code == 1
        assert "key" in out + err
        assert "Traceback" not in out + err


async def test_only_http_1_is_offered(backends: Backends, balance: Balance, authority: Authority) -> None:
    """Rule 8: Negotiate and NTLM do not exist in HTTP/2."""
    balancer = await balance(*await backends(), tls=True)
    context = authority.client_context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    async with await balancer.connect(tls=context) as client:
        assert client.writer.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"
        assert (await client.ask()).status == 200


@pytest.mark.parametrize(("minimum", "works"), [("1.2", True), ("1.3", False)])
async def test_minimum_version(
    backends: Backends, authority: Authority, directory: Path, minimum: str, works: bool
) -> None:
    [backend] = await backends()
    certificate = authority.write(directory, "login.test")
    config = configuration(directory, [(backend.name, backend.url)], certificate=certificate)
    config["listener"]["login"]["tls"]["minimum_version"] = minimum
    context = authority.client_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    async def ask() -> Response:
        async with await balancer.connect(tls=context) as client:
            return await client.ask()

    async with running(config, directory, authority.client_context()) as balancer:
        if works:
            assert (await ask()).status == 200
        else:
            with pytest.raises(ssl.SSLError):
                await ask()
        assert (await balancer.ask()).status == 200


async def test_a_kept_tls_connection_says_goodbye(backends: Backends, balance: Balance) -> None:
    """close_notify (RFC 8446 section 6.1), so that a client can tell an end from a cut."""
    balancer = await balance(*await backends(), tls=True)
    reader, writer = await asyncio.open_connection(*balancer.address)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    assert balancer.tls is not None
    session = balancer.tls.wrap_bio(incoming, outgoing, server_hostname="login.test")
    sent = False
    async with asyncio.timeout(DEADLINE):
        while True:
            try:
                session.do_handshake()
                if not sent:
                    session.write(b"GET / HTTP/1.1\r\nHost: login.test\r\nConnection: close\r\n\r\n")
                    sent = True
                received = session.read(65536)
                if received == b"":
                    break  # close_notify: a plain end of file would have been an SSLEOFError
            except ssl.SSLWantReadError:
                writer.write(outgoing.read())
                if not (data := await reader.read(65536)):
                    incoming.write_eof()
                incoming.write(data)
    writer.close()
    await writer.wait_closed()
