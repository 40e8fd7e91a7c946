from __future__ import annotations

import socket
from ipaddress import ip_network

import pytest

from lbproxy.net.transport.peer import Peer


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (("192.0.2.1", 5), ("192.0.2.1", "192.0.2.1:5")),
        (("::ffff:192.0.2.1", 5, 0, 0), ("192.0.2.1", "192.0.2.1:5")),
        (("2001:db8::1", 5, 0, 0), ("2001:db8::1", "[2001:db8::1]:5")),
        (("fe80::1%eth0", 5, 0, 2), ("fe80::1", "[fe80::1]:5")),
        ("", ("", "unix")),
    ],
)
def test_names_of_peers(address: tuple[str, int] | str, expected: tuple[str, str]) -> None:
    peer = Peer.accepted(address)
    assert (peer.host, peer.name) == expected


def test_networks() -> None:
    loopback, elsewhere = ip_network("127.0.0.0/8"), ip_network("2001:db8::/32")
    assert Peer(("127.0.0.1", 5)).within((elsewhere, loopback))
    assert not Peer(("127.0.0.1", 5)).within((elsewhere,))
    assert Peer(("2001:db8::1", 5)).within((loopback, elsewhere))
    assert not Peer(None).within((ip_network("0.0.0.0/0"), ip_network("::/0")))


def test_the_destination_is_the_connections_own_unless_it_is_known() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        here = listener.getsockname()
        with socket.create_connection(here) as client:
            sock, address = listener.accept()
            with sock:
                peer = Peer.accepted(address)
                peer.connected_to(sock.fileno())
                told = Peer(("192.0.2.1", 5), ("192.0.2.2", 443))
                told.connected_to(sock.fileno())
                nobody = Peer(None)
                nobody.connected_to(sock.fileno())
            assert (peer.source, peer.destination) == (client.getsockname(), here)
    assert told.destination == ("192.0.2.2", 443)
    assert nobody.destination is None
