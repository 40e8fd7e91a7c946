from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from lbproxy.net.transport.accept import Acceptor


def test_what_is_accepted_does_not_block_and_sends_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        acceptor = Acceptor(listening)
        with socket.create_connection(listening.getsockname()) as client:
            accepted = acceptor.accept()
            assert accepted is not None
            assert accepted[1] == client.getsockname()
            assert not os.get_inheritable(accepted[0])
            assert not os.get_blocking(accepted[0])
            with socket.socket(fileno=accepted[0]) as sock:
                assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
                client.sendall(b"x")
                sock.setblocking(True)
                assert sock.recv(1) == b"x"
            assert client.recv(1) == b""
    assert repr(acceptor) == f"<acceptor of family {int(socket.AF_INET)}>"


def test_no_connection_waits() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listening:
        listening.setblocking(False)
        acceptor = Acceptor(listening)
        assert acceptor.accept() is None
        with socket.create_connection(listening.getsockname()[:2]) as client:
            accepted = acceptor.accept()
            assert accepted is not None
            os.close(accepted[0])
            assert accepted[1] == client.getsockname()[:2]
            assert acceptor.accept() is None


def test_a_client_of_ipv4_on_a_socket_of_both() -> None:
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as listening:
        listening.setblocking(False)
        with socket.create_connection(("127.0.0.1", listening.getsockname()[1])) as client:
            accepted = Acceptor(listening).accept()
            assert accepted is not None
            os.close(accepted[0])
            assert accepted[1] == ("::ffff:127.0.0.1", client.getsockname()[1])


def test_unix_sockets_have_no_nagle(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as client:
        listening.bind(str(tmp_path / "s"))
        listening.listen()
        client.connect(str(tmp_path / "s"))
        accepted = Acceptor(listening).accept()
        assert accepted is not None
        os.close(accepted[0])
        assert accepted[1] == ""
        assert client.recv(1) == b""


def test_a_socket_that_is_closed_is_an_error() -> None:
    """And no other socket that has got its number."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        acceptor = Acceptor(listening)
    with pytest.raises(OSError, match="Bad file descriptor"):
        acceptor.accept()
