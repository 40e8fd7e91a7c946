"""Sessions that began in one context resume in another one, by the keys that both have."""

from __future__ import annotations

import os
import ssl

import pytest
import trustme

from lbproxy.net.tls.ticket_keys import MOST, SIZE, TicketKeys

CA = trustme.CA()
OLD, NOW, NEXT = (os.urandom(SIZE) for _ in range(3))
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]

pytestmark = pytest.mark.parametrize("version", VERSIONS, ids=["TLS 1.2", "TLS 1.3"])


def bare(name: str = "login.test") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    CA.issue_cert(name).configure_cert(context)
    return context


def server(*keys: bytes) -> ssl.SSLContext:
    """The object with its keys is gone at once."""
    context = bare()
    assert TicketKeys(keys).serve(context)
    return context


def client(version: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.maximum_version = version
    CA.configure_trust(context)
    return context


def connect(server: ssl.SSLContext, client: ssl.SSLContext, session: ssl.SSLSession | None = None) -> ssl.SSLObject:
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


@pytest.mark.parametrize(
    ("keys", "resumed"),
    [([NOW], True), ([NEXT, OLD, NOW], True), ([OLD], False), ([NEXT, OLD], False)],
    ids=["the same", "one of several", "another", "others"],
)
def test_a_session_resumes_where_its_key_is(version: ssl.TLSVersion, keys: list[bytes], resumed: bool) -> None:
    context = client(version)
    first = connect(server(NOW, OLD), context)
    assert first.session_reused is False
    assert connect(server(*keys), context, first.session).session_reused is resumed


def test_a_ticket_of_an_old_key_is_renewed_under_the_new_one(version: ssl.TLSVersion) -> None:
    context = client(version)
    first = connect(server(OLD), context)
    second = connect(server(NOW, OLD), context, first.session)
    assert second.session_reused
    assert connect(server(NOW), context, second.session).session_reused
    assert not connect(server(NOW), context, first.session).session_reused


def test_keys_change_under_a_context_that_serves(version: ssl.TLSVersion) -> None:
    keys, there, context = TicketKeys([OLD]), bare(), client(version)
    assert keys.serve(there)
    first = connect(there, context)
    keys.set([NOW, OLD])
    second = connect(there, context, first.session)
    keys.set([NEXT])
    assert second.session_reused
    assert not connect(there, context, second.session).session_reused


def test_a_handshake_goes_on_in_a_context_for_another_name(version: ssl.TLSVersion) -> None:
    """The session is that of the context in which it began, and the keys are found from both."""
    default, named, keys, context = bare("other.test"), bare(), TicketKeys([NOW]), client(version)
    default.sni_callback = lambda ended, name, _: setattr(ended, "context", named)
    assert keys.serve(default)
    assert keys.serve(named)
    first = connect(default, context)
    assert connect(default, context, first.session).session_reused
    assert not connect(server(OLD), context, first.session).session_reused


def test_a_context_that_has_no_keys_is_left_as_it_is(version: ssl.TLSVersion) -> None:
    there, context = bare(), client(version)
    assert connect(there, context, connect(there, context).session).session_reused
    assert not connect(server(NOW), context, connect(there, context).session).session_reused


def test_only_contexts_and_whole_keys(version: ssl.TLSVersion) -> None:
    for wrong in ([], [b"short"], [NOW, b"short"], [NOW] * (MOST + 1)):
        with pytest.raises(ValueError, match="keys of 80 bytes"):
            TicketKeys(wrong)
    keys, there = TicketKeys([NOW]), bare()
    with pytest.raises(ValueError, match=r"ssl\.SSLContext"):
        keys.serve(object())  # type: ignore[arg-type]
    assert keys.serve(there)
    assert not keys.serve(there), "it has keys already"
    assert repr(keys) == "<1 ticket keys>"
