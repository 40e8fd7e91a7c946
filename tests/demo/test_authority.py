from __future__ import annotations

import socket
import ssl
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from lbproxy.demo.authority import Authority, Pair, write_bundle

NAMES = ["login.corp.example", "localhost", "127.0.0.1"]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def handshake(authority: Authority, server: Pair, name: str, user: Pair | None = None) -> Any:
    """One TLS handshake; what the server knows of the client's certificate."""
    accepting = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority.pair.certificate)
    accepting.verify_mode = ssl.CERT_OPTIONAL
    accepting.load_cert_chain(server.certificate, server.key)
    connecting = ssl.create_default_context(cafile=authority.pair.certificate)
    connecting.verify_flags |= ssl.VERIFY_X509_STRICT
    if user:
        connecting.load_cert_chain(user.certificate, user.key)

    def accept(raw: socket.socket) -> Any:
        with raw, accepting.wrap_socket(raw, server_side=True) as stream:
            return stream.getpeercert()

    ours, theirs = socket.socketpair()
    with ThreadPoolExecutor() as pool, ours:
        accepted = pool.submit(accept, theirs)
        with connecting.wrap_socket(ours, server_hostname=name) as stream:
            stream.recv(1)  # until the server has seen the client's certificate and closed
        return accepted.result()


@pytest.mark.parametrize("name", NAMES)
def test_a_server_is_trusted_under_each_of_its_names(authority: Authority, name: str) -> None:
    assert not handshake(authority, authority.server(NAMES), name)


def test_a_server_is_not_trusted_under_another_name(authority: Authority) -> None:
    server = authority.server(NAMES)
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        handshake(authority, server, "login.other.example")


def test_the_server_learns_the_user(authority: Authority) -> None:
    certificate = handshake(authority, authority.server(NAMES), "localhost", authority.user("alice"))
    assert certificate["subject"] == ((("commonName", "alice"),),)


def test_a_user_of_another_authority_is_refused(authority: Authority, tmp_path: Path) -> None:
    stranger = Authority(tmp_path / "other").user("alice")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        handshake(authority, authority.server(NAMES), "localhost", stranger)


def test_users_of_every_authority_in_a_bundle_are_believed(authority: Authority, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other", "other")
    path = write_bundle(tmp_path / "both.pem", [authority, other])
    context = ssl.create_default_context(cafile=path)
    names = {name["subject"][0][0][1] for name in context.get_ca_certs()}
    assert names == {"lbproxy demo CA", "other"}


def test_a_user_is_no_server(authority: Authority) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(authority, authority.user("localhost"), "localhost")


def test_keys_are_for_their_owner_only(authority: Authority) -> None:
    pairs = [authority.pair, authority.server(NAMES), authority.user("alice")]
    assert {stat.S_IMODE(pair.key.stat().st_mode) for pair in pairs} == {0o600}


def test_a_key_file_that_others_can_read_is_replaced(authority: Authority) -> None:
    (authority.directory / "alice.key").touch(mode=0o644)
    assert stat.S_IMODE(authority.user("alice").key.stat().st_mode) == 0o600
