from __future__ import annotations

import socket
from pathlib import Path

import pytest

from lbproxy.net.transport.accept import Acceptor


def test_what_is_accepted_does_not_block_and_sends_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        acceptor = Acceptor(listening)
        with socket.create_connection(listening.getsockname()) as client:
            sock, address = acceptor.accept()
            assert address == client.getsockname()
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            with pytest.raises(BlockingIOError):
                sock.recv(1)
            client.sendall(b"x")
            sock.setblocking(True)
            assert sock.recv(1) == b"x"
            sock.close()
            assert client.recv(1) == b""
    assert repr(acceptor) == f"<acceptor of family {int(socket.AF_INET)}>"


def test_nobody_waits() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listening:
        listening.setblocking(False)
        acceptor = Acceptor(listening)
        assert not acceptor.waits()
        with pytest.raises(BlockingIOError):
            acceptor.accept()
        with socket.create_connection(listening.getsockname()[:2]):
            assert acceptor.waits()
            acceptor.accept()[0].close()
            assert not acceptor.waits()


def test_unix_sockets_have_no_nagle(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as client:
        listening.bind(str(tmp_path / "s"))
        listening.listen()
        client.connect(str(tmp_path / "s"))
        sock, _ = Acceptor(listening).accept()
        sock.close()
        assert client.recv(1) == b""
