"""HAProxy as another opinion of the PROXY protocol: its encoder, and its parser between two of them."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

needs_haproxy = pytest.mark.skipif(shutil.which("haproxy") is None, reason="haproxy is not installed")

_FILE = """
defaults
    mode tcp
    timeout connect 10s
    timeout client 10s
    timeout server 10s
listen relay
    bind fd@{front}{accept}
    server target 127.0.0.1:{port} {send}
"""

_PATIENCE = 10.0  # seconds until a socket that says nothing fails the test


class Relay:
    """A HAProxy that is running, and the socket that it connects to."""

    def __init__(self, front: socket.socket, target: socket.socket) -> None:
        self._front = front
        self._target = target

    def passed(self, sent: bytes) -> tuple[bytes, tuple[str, int], tuple[str, int]]:
        """What reaches the target of a connection that sends these bytes; that connection's source and destination."""
        with socket.create_connection(self._front.getsockname(), _PATIENCE) as client:
            ends = client.getsockname(), client.getpeername()
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)
            connection, _ = self._target.accept()
            with connection:
                connection.settimeout(_PATIENCE)
                return b"".join(iter(lambda: connection.recv(65536), b"")), *ends

    def refuses(self, sent: bytes) -> bool:
        """Whether a connection that begins with these bytes is closed without an answer."""
        with socket.create_connection(self._front.getsockname(), _PATIENCE) as client:
            try:
                client.sendall(sent)
                return client.recv(1) == b""
            except ConnectionError:
                return True


@contextmanager
def relaying(directory: Path, send: str, accept: str = "") -> Iterator[Relay]:
    """`send`: what HAProxy's server line asks for, as `send-proxy-v2`; `accept`: the same of its bind line."""
    with ExitStack() as stack:
        front, target = (stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2))
        target.settimeout(_PATIENCE)
        file = directory / "haproxy.cfg"
        file.write_text(_FILE.format(front=front.fileno(), port=target.getsockname()[1], send=send, accept=accept))
        process = subprocess.Popen(["haproxy", "-db", "-q", "-f", file], pass_fds=[front.fileno()])
        try:
            yield Relay(front, target)
        finally:
            process.terminate()
            process.wait()
