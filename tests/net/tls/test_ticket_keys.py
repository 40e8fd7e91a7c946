"""Sessions that began in one context resume in another one with the same keys."""

from __future__ import annotations

import os
import ssl

import pytest
import trustme

from lbproxy.net.tls.ticket_keys import SIZE, set_keys

CA = trustme.CA()
KEYS, OTHERS = os.urandom(SIZE), os.urandom(SIZE)


def server(keys: bytes) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    CA.issue_cert("login.test").configure_cert(context)
    assert set_keys(context, keys)
    return context


def client(version: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.maximum_version = version
    CA.configure_trust(context)
    return context


def connect(server: ssl.SSLContext, client: ssl.SSLContext, session: ssl.SSLSession | None) -> ssl.SSLObject:
    """The client's end after a handshake and one byte, with which TLS 1.3's ticket comes."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    theirs = server.wrap_bio(up, down, server_side=True)
    ours = client.wrap_bio(down, up, server_hostname="login.test", session=session)
    waiting = [ours.do_handshake, theirs.do_handshake]
    while waiting:
        step = waiting.pop(0)
        try:
            step()
        except ssl.SSLWantReadError:
            waiting.append(step)
    theirs.write(b"x")
    assert ours.read(1) == b"x"
    return ours


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize(("keys", "resumed"), [(KEYS, True), (OTHERS, False)])
def test_the_same_keys_resume(version: ssl.TLSVersion, keys: bytes, resumed: bool) -> None:
    context = client(version)
    first = connect(server(KEYS), context, None)
    assert first.session_reused is False
    assert connect(server(keys), context, first.session).session_reused is resumed


def test_only_contexts_and_whole_keys() -> None:
    with pytest.raises(ValueError, match="80 bytes"):
        set_keys(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), b"short")
    with pytest.raises(ValueError, match=r"ssl\.SSLContext"):
        set_keys(object(), KEYS)  # type: ignore[arg-type]
