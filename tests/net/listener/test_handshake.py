from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme

from lbproxy.net.http.web import WebService
from lbproxy.net.listener.handshake import Handshake
from lbproxy.net.tls import ClientPolicy, ServerTls
from lbproxy.net.transport.poller import Poller
from tests.net.conftest import Build
from tests.net.dialogue import HEADER_TIMEOUT, answer, request
from tests.net.peers import Peer, TlsPeer, let_expire, until

CA = trustme.CA()


def certificate(directory: Path) -> ServerTls:
    leaf = CA.issue_cert("a.test")
    leaf.cert_chain_pems[0].write_to_path(str(directory / "chain.pem"))
    leaf.private_key_pem.write_to_path(str(directory / "key.pem"))
    return ServerTls([(directory / "chain.pem", directory / "key.pem")], "1.2")


def browser(peer: Peer) -> TlsPeer:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    CA.configure_trust(context)
    return TlsPeer(peer.sock, context, "a.test")


async def test_tls(front: Build, tmp_path: Path) -> None:
    home = front(tls=certificate(tmp_path))
    client = browser(await home.connect())
    await client.shake_hands(request())
    lane = await home.places[0].lane()
    await lane.head()
    await lane.send(answer(b"ok"))
    await client.sees(answer(b"ok"))
    await client.send(request(b"GET /denied", b"Connection: close"))
    assert (await client.rest()).startswith(b"HTTP/1.1 404 ")
    assert isinstance(home.listener.service, WebService)
    assert (home.listener.service.handshakes, home.listener.service.resumed) == (1, 0)


async def test_tls_answers_a_client_that_uploads_what_nobody_wants(front: Build, tmp_path: Path) -> None:
    """Neither a reset nor a bare FIN comes in place of the answer."""
    home = front(tls=certificate(tmp_path))
    client = browser(await home.connect())
    await client.shake_hands(b"POST / HTTP/1.1\r\nHost: b.example\r\nContent-Length: 4000000\r\n\r\n" + b"x" * 100_000)
    await client.send(b"x" * 3_900_000)
    client.close_notify()
    await client.flush()
    client.finish()
    received = await client.exactly(len("HTTP/1.1 421 "))
    assert received == b"HTTP/1.1 421 "


@pytest.mark.parametrize("how", ["plain HTTP", "closed", "reset"])
async def test_a_handshake_that_fails_is_counted(front: Build, tmp_path: Path, how: str) -> None:
    home = front(tls=certificate(tmp_path))
    client = await home.connect()
    await until(lambda: home.listener.connections)
    if how == "plain HTTP":
        await client.send(request())
    elif how == "closed":
        client.finish()
    else:
        client.reset()
    await until(lambda: not home.listener.connections)
    assert home.listener.ends == {"tls_failed": 1}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # wrap_socket leaves its half to the GC
async def test_a_client_that_is_gone_before_it_is_accepted(front: Build, tmp_path: Path) -> None:
    home = front(tls=certificate(tmp_path))
    home.listener.pause()
    client = await home.connect()
    client.reset()
    home.listener.start()
    await until(lambda: home.listener.ends)
    assert home.listener.ends == {"tls_failed": 1}
    assert not home.listener.connections


async def test_a_handshake_has_header_timeout(front: Build, tmp_path: Path, poller: Poller) -> None:
    home = front(tls=certificate(tmp_path))
    client = await home.connect()
    await until(lambda: home.listener.connections)
    [connection] = home.listener.connections
    assert isinstance(connection, Handshake)
    assert connection._stream.deadline == poller.now + HEADER_TIMEOUT
    let_expire(poller, connection._stream)
    assert await client.rest() == b""
    assert home.listener.ends == {"tls_timeout": 1}


async def test_a_refused_client_gets_its_alert_though_it_has_sent_a_request(front: Build, tmp_path: Path) -> None:
    """With TLS 1.3 a client is done before the server has looked at its certificate."""
    CA.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    certificate(tmp_path)
    pair = (tmp_path / "chain.pem", tmp_path / "key.pem")
    home = front(tls=ServerTls([pair], "1.3", ClientPolicy(True, tmp_path / "ca.pem")))
    client = browser(await home.connect())
    await client.shake_hands(request() * 1000)
    with pytest.raises(ssl.SSLError, match=r"CERTIFICATE_REQUIRED"):
        await client.receive()
    client.close()
    await until(lambda: not home.listener.connections)
    assert home.listener.ends == {"client_cert_refused": 1}


async def test_new_clients_get_the_new_certificate(front: Build, tmp_path: Path) -> None:
    tls = certificate(tmp_path)
    home = front(tls=tls)
    serials = []
    for renew in (False, True):
        if renew:
            certificate(tmp_path)
            assert tls.refresh()
        client = browser(await home.connect())
        await client.shake_hands()
        serials.append(client.certificate["serialNumber"])
    assert serials[0] != serials[1]
