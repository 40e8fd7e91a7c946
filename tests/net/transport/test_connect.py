from __future__ import annotations

import errno
import os
import resource
import socket

import pytest

from lbproxy.net.transport.connect import Destination


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_connects_as_a_socket_would(family: socket.AddressFamily, host: str) -> None:
    with socket.create_server((host, 0), family=family) as listening:
        fd = Destination(family, listening.getsockname()).connect()
        assert not os.get_blocking(fd)
        assert not os.get_inheritable(fd)
        with socket.socket(fileno=fd) as sock, listening.accept()[0] as far:
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            far.sendall(b"x")
            sock.setblocking(True)
            assert sock.recv(1) == b"x"


def test_the_scope_of_an_address_counts() -> None:
    """A link-local address is another one on each link: there is none with this number."""
    assert Destination(socket.AF_INET6, ("fe80::1%nowhere", 9, 0, 1 << 30)).connect() in (
        -errno.ENODEV,
        -errno.EINVAL,
        -errno.ENETUNREACH,
    )


def test_a_connect_that_fails_at_once_leaves_no_descriptor() -> None:
    lowest = os.dup(0)
    os.close(lowest)
    assert Destination(socket.AF_INET, ("255.255.255.255", 9)).connect() == -errno.ENETUNREACH
    assert os.dup(0) == lowest
    os.close(lowest)


def test_no_descriptor_is_left() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            Destination(socket.AF_INET, ("127.0.0.1", 9)).connect()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    ("family", "host"), [(socket.AF_INET, "localhost"), (socket.AF_INET6, "127.0.0.1"), (socket.AF_UNIX, "x")]
)
def test_only_numeric_addresses(family: socket.AddressFamily, host: str) -> None:
    with pytest.raises(ValueError, match=f"not a numeric address: '{host}'"):
        Destination(family, (host, 9))
