from __future__ import annotations

import socket

from lbproxy.demo.ports import free_port


def test_a_port_that_can_be_bound() -> None:
    with socket.create_server(("127.0.0.1", free_port())):
        pass


def test_the_preferred_one_when_it_is_free() -> None:
    port = free_port()
    assert free_port(port) == port


def test_another_one_when_the_preferred_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert free_port(port) not in {0, port}
