"""Listening sockets: bound as configured, all or none."""

from __future__ import annotations

import socket
import tempfile
from pathlib import Path

import pytest

from lbproxy.config import load
from lbproxy.errors import StartError
from lbproxy.process.sockets import listen_all


def listen(tmp_path: Path, **binds: str) -> dict[str, socket.socket]:
    listeners = "".join(f'[listener.{name}]\nbind = "{bind}"\npool = "p"\n' for name, bind in binds.items())
    path = tmp_path / "lb.toml"
    path.write_text(
        f'server_url = "http://login.test"\n{listeners}'
        '[pool.p]\nbackends = [{ name = "c1", url = "http://127.0.0.1:9" }]\n'
    )
    return listen_all(load(path))


@pytest.mark.parametrize(("bind", "family"), [("127.0.0.1:0", socket.AF_INET), ("[::1]:0", socket.AF_INET6)])
def test_a_tcp_listener_accepts(tmp_path: Path, bind: str, family: socket.AddressFamily) -> None:
    [sock] = listen(tmp_path, login=bind).values()
    with sock, socket.create_connection(sock.getsockname()[:2]):
        assert sock.family == family
        assert not sock.getblocking()


def test_a_unix_listener_makes_its_directory_and_replaces_a_dead_socket() -> None:
    with tempfile.TemporaryDirectory() as short:  # sun_path is 108 bytes
        path = Path(short, "run", "lb.sock")
        listen(Path(short), login="unix:run/lb.sock")["login"].close()
        assert path.is_socket()
        sock = listen(Path(short), login="unix:run/lb.sock")["login"]
        with sock, socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))


def test_a_live_unix_socket_is_not_taken_over() -> None:
    with tempfile.TemporaryDirectory() as short:
        sock = listen(Path(short), login="unix:lb.sock")["login"]
        with sock, pytest.raises(StartError, match=r"listener\.login\.bind: another process listens on"):
            listen(Path(short), login="unix:lb.sock")


def test_one_that_fails_leaves_none(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.create_server(("127.0.0.1", 0)) as other:
        free = other.getsockname()[1]
        other.close()
        used = taken.getsockname()[1]
        with pytest.raises(StartError, match=rf"listener\.b\.bind: cannot listen on 127\.0\.0\.1:{used}"):
            listen(tmp_path, a=f"127.0.0.1:{free}", b=f"127.0.0.1:{used}")
        socket.create_server(("127.0.0.1", free)).close()
