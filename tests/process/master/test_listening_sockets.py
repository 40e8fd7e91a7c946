"""Listening sockets: bound where they are wanted."""

from __future__ import annotations

import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lbproxy.errors import StartError
from lbproxy.process.master.listening_sockets import Owner, Place, Wanted, listen
from tests.namespaces import needs_root, own_network, run, until_it_is_here


@pytest.fixture
def short() -> Iterator[Path]:
    """sun_path is 108 bytes."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def at(path: Path, admin: bool = False) -> Wanted:
    return Wanted("listener.login.bind", Place(path=str(path)), admin)


@pytest.mark.parametrize(("host", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)])
def test_a_tcp_listener_accepts(host: str, family: socket.AddressFamily) -> None:
    sock = listen(Wanted("listener.login.bind", Place(host)))
    with sock, socket.create_connection(sock.getsockname()[:2]):
        assert sock.family == family
        assert not sock.getblocking()


@pytest.mark.parametrize("host", ["192.0.2.99", "2001:db8::99"])
def test_an_address_that_is_not_here_yet(host: str) -> None:
    """RFC 5737 and RFC 3849: nobody has these."""
    with listen(Wanted("listener.login.bind", Place(host)), freebind=True) as sock:
        assert sock.getsockname()[0] == host
    with pytest.raises(StartError, match=r"listener\.login\.bind: cannot listen on .*: Cannot assign"):
        listen(Wanted("listener.login.bind", Place(host)))


@needs_root
@pytest.mark.parametrize(("host", "prefix"), [("10.77.9.9", 32), ("fd77::9", 128)])
def test_it_accepts_once_the_address_comes(host: str, prefix: int) -> None:
    with own_network(), listen(Wanted("listener.login.bind", Place(host)), freebind=True) as sock:
        run("ip", "address", "add", f"{host}/{prefix}", "dev", "lo", *(["nodad"] if prefix == 128 else []))
        until_it_is_here(host)
        with socket.create_connection(sock.getsockname()[:2], timeout=5):
            pass


def test_a_unix_listener_makes_its_directory_and_replaces_a_dead_socket(short: Path) -> None:
    path = short / "run" / "lb.sock"
    listen(at(path)).close()
    assert path.is_socket()
    sock = listen(at(path))
    with sock, socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


@pytest.mark.parametrize(("admin", "mode"), [(False, 0o666), (True, 0o600)])
def test_who_may_open_a_unix_socket(short: Path, admin: bool, mode: int) -> None:
    with listen(at(short / "a.sock", admin)) as sock:
        assert stat.S_IMODE((short / "a.sock").stat().st_mode) == mode
        assert not sock.getblocking()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_a_unix_socket_belongs_to_its_owner(short: Path) -> None:
    with listen(at(short / "a.sock"), Owner(1234, 5678)):
        status = (short / "a.sock").stat()
        assert (status.st_uid, status.st_gid) == (1234, 5678)


@pytest.mark.skipif(os.geteuid() != 0, reason="root may give files away")
def test_what_has_taken_a_sockets_place_is_not_given_away(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    precious = short / "precious"
    precious.touch()
    umask = os.umask

    def replace(mask: int) -> int:
        """As another process could, right after bind."""
        if (short / "a.sock").is_socket():
            (short / "a.sock").unlink()
            (short / "a.sock").symlink_to(precious)
        return umask(mask)

    monkeypatch.setattr(os, "umask", replace)
    listen(at(short / "a.sock"), Owner(1234, 5678)).close()
    assert (precious.stat().st_uid, stat.S_IMODE(precious.stat().st_mode)) == (0, 0o644)


def test_a_live_unix_socket_is_not_taken_over(short: Path) -> None:
    said = r"listener\.login\.bind: another process listens on"
    with listen(at(short / "a.sock")), pytest.raises(StartError, match=said):
        listen(at(short / "a.sock"))


def test_an_address_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StartError, match=rf"listener\.b\.bind: cannot listen on 127\.0\.0\.1:{port}: Address"):
            listen(Wanted("listener.b.bind", Place("127.0.0.1", port)))


@pytest.mark.parametrize(
    ("place", "text"),
    [(Place("a.test", 1), "a.test:1"), (Place("::1", 2), "[::1]:2"), (Place(path="/run/x"), "unix:/run/x")],
)
def test_a_place_reads_as_the_configuration_writes_it(place: Place, text: str) -> None:
    assert str(place) == text
