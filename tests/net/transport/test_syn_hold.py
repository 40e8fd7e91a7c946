"""A real listening socket, and clients that the kernel lets wait."""

from __future__ import annotations

import errno
import select
import socket

import pytest

from lbproxy.net.transport.syn_hold import hold, release

FAMILIES = pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])


def client(server: socket.socket) -> socket.socket:
    """One that has sent its SYN."""
    sock = socket.socket(server.family)
    sock.setblocking(False)
    sock.connect_ex(server.getsockname()[:2])
    return sock


@FAMILIES
def test_new_connections_wait_and_open_ones_go_on(family: socket.AddressFamily, host: str) -> None:
    with socket.create_server((host, 0), family=family) as server, client(server) as first:
        near, _ = server.accept()
        with near:
            hold(server)
            with client(server) as second:
                near.sendall(b"still here")  # over the same loopback queue: the SYN has been judged by now
                assert first.recv(100) == b"still here"
                assert select.select([], [second], [], 0)[1] == []
                release(server)
                assert select.select([], [second], [], 10)[1] == [second], "it has sent its SYN again"
                server.accept()[0].close()


def test_every_process_with_the_socket_is_meant() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, server.dup() as shared:
        hold(shared)
        with client(server) as waiting:
            assert select.select([], [waiting], [], 0)[1] == []
            release(server)
            assert select.select([], [waiting], [], 10)[1] == [waiting]


def test_a_release_of_what_was_never_held() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        release(server)
        with socket.create_connection(server.getsockname(), timeout=5):
            pass


def test_a_release_where_the_kernel_knows_no_filters() -> None:
    """As an emulated one: it cannot have held anything."""

    class Unaware(socket.socket):
        def setsockopt(self, *_: object) -> None:
            raise OSError(errno.ENOPROTOOPT, "Protocol not available")

    with Unaware() as server:
        release(server)
        with pytest.raises(OSError, match="Protocol not available"):
            hold(server)
