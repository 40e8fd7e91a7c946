"""The master's sockets: kept while they are wanted, and taken from the service manager."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from lbproxy.errors import StartError
from lbproxy.process.master.held_sockets import HeldSockets
from lbproxy.process.master.listening_sockets import MAKER, Place, Wanted


def want(name: str, place: Place) -> Wanted:
    return Wanted(f"listener.{name}.bind", place)


def free() -> Place:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return Place(*sock.getsockname())


def test_the_same_place_is_the_same_socket_whatever_its_name() -> None:
    held_sockets, place = HeldSockets(), free()
    [first] = held_sockets.provide([want("a", place)], MAKER)
    [second] = held_sockets.provide([want("b", place)], MAKER)
    assert first is second
    held_sockets.keep([])
    assert first.fileno() == -1


def test_all_or_none() -> None:
    held_sockets = HeldSockets()
    held, fresh = want("a", free()), want("b", free())
    held_sockets.provide([held], MAKER)
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(StartError, match=r"listener\.c\.bind"):
        held_sockets.provide([held, fresh, want("c", Place(*taken.getsockname()))], MAKER)
    assert set(held_sockets.sockets) == {held.place}
    socket.create_server((fresh.place.host, fresh.place.port)).close()
    held_sockets.close()


def test_an_address_that_is_not_here_yet_is_bound_where_that_is_wanted() -> None:
    held_sockets, away = HeldSockets(), Wanted("listener.a.bind", Place("192.0.2.7", 0))
    with pytest.raises(StartError, match=r"listener\.a\.bind: cannot listen on 192\.0\.2\.7:0"):
        held_sockets.provide([away], MAKER, ["listener.b.bind"])
    [sock] = held_sockets.provide([away], MAKER, ["listener.a.bind"])
    assert sock.getsockname()[0] == "192.0.2.7"
    held_sockets.close()


def test_files_of_unix_sockets_go_with_them() -> None:
    with tempfile.TemporaryDirectory() as short:
        one, two = (Place(path=f"{short}/{name}.sock") for name in "ab")
        held_sockets = HeldSockets()
        held_sockets.provide([want("a", one), want("b", two)], MAKER)
        held_sockets.keep([want("b", two)])
        assert not Path(one.path).exists()
        held_sockets.close()
        assert Path(two.path).exists()
        held_sockets.remove_files()
        assert not Path(two.path).exists()


GIVEN = """
import os
from lbproxy.process.master.held_sockets import HeldSockets
from lbproxy.process.master.listening_sockets import MAKER, Place, Wanted
if {pid!r} == "own":
    os.environ["LISTEN_PID"] = str(os.getpid())
held_sockets = HeldSockets()
held_sockets.accept_given(os.environ)
place = Place("127.0.0.1", {port}, tag="x")
[sock] = held_sockets.provide([Wanted("listener.{name}.bind", place)], MAKER)
print(sock.getsockname()[1], sock.fileno(), place in held_sockets.from_manager)
"""


@pytest.mark.parametrize(("name", "named", "port"), [("login", "other", True), ("login", "login", False)])
def test_sockets_of_the_service_manager_are_used(name: str, named: str, port: bool) -> None:
    """By their address, or by the listener's name."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        ours = sock.getsockname()[1]
        assert _given(sock, name, named, ours if port else 0, "own") == [str(ours), "3", "True"]


def test_what_the_manager_passed_goes_back_when_it_is_wanted_no_more(caplog: pytest.LogCaptureFixture) -> None:
    """The manager goes on listening, so that the address could not be bound again."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        held_sockets, one = HeldSockets(), want("a", Place(*sock.getsockname()))
        held_sockets.spare.append(("login", sock))
        assert held_sockets.provide([one], MAKER) == [sock]
        assert not held_sockets.spare
        held_sockets.keep([])
        assert "socket_unused" in caplog.text
        assert held_sockets.all() == [sock]
        assert held_sockets.provide([one], MAKER) == [sock]
        held_sockets.close()
        assert sock.fileno() == -1


def test_sockets_for_another_process_are_left_alone() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        assert _given(sock, "login", "login", 0, "1")[2] == "False"


def _given(sock: socket.socket, name: str, named: str, port: int, pid: str) -> list[str]:
    """What a process says that finds `sock` as its descriptor 3."""
    done = subprocess.run(
        [sys.executable, "-c", _AS_THREE + GIVEN.format(pid=pid, port=port, name=name), str(sock.fileno())],
        env={**os.environ, "LISTEN_PID": pid, "LISTEN_FDS": "1", "LISTEN_FDNAMES": named},
        pass_fds=[sock.fileno()],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


_AS_THREE = "import os, sys; int(sys.argv[1]) == 3 or os.dup2(int(sys.argv[1]), 3)\n"
