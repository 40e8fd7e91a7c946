from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from lbproxy.control.admin.sockets import listen, remove_stale
from lbproxy.errors import StartError


def connect(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def leave_behind(path: Path) -> None:
    """The file of a process that died."""
    listen(path).close()
    assert path.is_socket()


def test_a_unix_socket_is_for_its_owner_only_and_its_folder_is_made(tmp_path: Path) -> None:
    path = tmp_path / "run" / "lbproxy" / "admin.sock"
    old = os.umask(0)
    try:
        with listen(path):
            assert path.stat().st_mode & 0o777 == 0o600
            connect(path)
    finally:
        os.umask(old)


def test_the_socket_of_a_dead_process_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    leave_behind(path)
    with listen(path):
        connect(path)


def test_the_socket_of_a_live_process_is_not(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    with listen(path):
        with pytest.raises(StartError, match="another process listens on"):
            listen(path)
        connect(path)


def test_a_process_that_is_too_busy_to_accept_is_alive(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as waiting:
        busy.bind(str(path))
        busy.listen(0)
        waiting.connect(str(path))
        with pytest.raises(StartError, match="another process listens on"):
            listen(path)


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    path.write_text("precious")
    with pytest.raises(StartError, match="is not a socket"):
        listen(path)
    assert path.read_text() == "precious"


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError, match=r"admin\.bind: cannot listen on .*: Not a directory"):
        listen(tmp_path / "file" / "run" / "admin.sock")


def test_a_path_that_is_too_long_for_a_socket(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="AF_UNIX path too long"):
        listen(tmp_path / ("x" * 200))


def test_what_nobody_listens_on_is_removed_and_what_is_not_there_is_fine(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    leave_behind(path)
    remove_stale(path)
    assert not path.exists()
    remove_stale(path)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_a_loopback_port(host: str) -> None:
    with listen((host, 0)) as sock, socket.create_connection(sock.getsockname()[:2]):
        pass


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_no_other_address(host: str) -> None:
    with pytest.raises(StartError, match="is not a loopback address"):
        listen((host, 0))


def test_a_port_in_use() -> None:
    with listen(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
        with pytest.raises(StartError, match=rf"cannot listen on 127\.0\.0\.1 port {port}: .*in use"):
            listen(("127.0.0.1", port))
