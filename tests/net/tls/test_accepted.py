from __future__ import annotations

import socket
from pathlib import Path

from lbproxy.net.tls import AcceptedTls
from tests.net.tls.terminal import NAME, Ends, browser, listener
from tests.pki import Authority


def test_is_what_an_ssl_socket_is_for_a_server(tmp_path: Path) -> None:
    root = Authority.root()
    user = root.issue("alice")
    tls = listener(root.server(NAME).write(tmp_path, "login"))
    with Ends(tls.context, browser(user, at=tmp_path)) as ends:
        accepted = ends.server
        assert isinstance(accepted, AcceptedTls)
        assert accepted.server_side
        assert accepted.requested_name == NAME
        assert accepted.peer_certificate() is None, "nobody asked"
        assert accepted.session_reused is False
        assert repr(accepted) == f"<TLS accepted on {accepted.fileno()} for {NAME}>"
        accepted.send(b"x")
        assert ends.client.recv(1) == b"x"
    assert accepted.fileno() == -1


def test_a_client_that_is_gone_already(tmp_path: Path) -> None:
    """An SSLSocket could not be made of it; here, the handshake tells."""
    tls = listener(Authority.root().server(NAME).write(tmp_path, "login"))
    here, there = socket.socketpair()
    there.close()
    tls.accept(here.detach()).close()
