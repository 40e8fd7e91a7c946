"""TLS by OpenSSL's own functions does what Python's methods do."""

from __future__ import annotations

import _ssl
import ctypes
import os
import select
import socket
import ssl
import struct
from contextlib import suppress
from typing import Self

import pytest
import trustme

from lbproxy.net.tls import AcceptedTls
from lbproxy.net.tls.openssl import Engine, acknowledge_names, is_direct, refuse_odd_names
from tests.net.peers import PATIENCE, tcp_pair

CA = trustme.CA()


def server() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF  # which some versions of Python set
    CA.issue_cert("login.test").configure_cert(context)
    return context


def client(version: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.maximum_version = version
    CA.configure_trust(context)
    return context


def test_only_contexts_refuse_odd_names() -> None:
    with pytest.raises(ValueError, match=r"ssl\.SSLContext"):
        refuse_odd_names(object())  # type: ignore[arg-type]
    assert refuse_odd_names(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))


# --- OpenSSL's functions do what Python's methods do


DONE, WANTS_READ = 1, -1  # as openssl.pxd has them


@pytest.fixture(params=[True, False], ids=["direct", "by Python"])
def direct(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


class Ends:
    """A connection whose server is an `Engine`, and whose client is Python's."""

    def __init__(
        self, direct: bool, context: ssl.SSLContext | None = None, theirs: ssl.SSLContext | None = None, buffer: int = 0
    ) -> None:
        near, self.far = tcp_pair(buffer)
        self._accepted = AcceptedTls(near.detach(), context or server(), direct)
        self.engine = Engine(self._accepted._sslobj, direct)
        self.client = (theirs or client(ssl.TLSVersion.TLSv1_3)).wrap_socket(
            self.far, server_hostname="login.test", do_handshake_on_connect=False
        )
        assert self.engine.direct is direct

    def meet(self) -> Self:
        """The handshake, each end in its turn."""
        self.greet()
        self.client.do_handshake()
        assert self.step() == DONE
        return self

    def greet(self) -> None:
        """The first flight of each end."""
        with suppress(ssl.SSLWantReadError):
            self.client.do_handshake()
        assert self.step() == WANTS_READ

    def step(self) -> int:
        readable(self._accepted.fileno())
        return self.engine.step()

    def receive(self) -> bytes | None:
        readable(self._accepted.fileno())
        return self.engine.receive(65536)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.client.close()
        self._accepted.close()


def readable(descriptor: int) -> None:
    """Wait until something can be read there."""
    found, _, _ = select.select([descriptor], [], [], PATIENCE)
    assert found


def test_bytes_pass_both_ways(direct: bool) -> None:
    with Ends(direct).meet() as ends:
        assert ends.engine.receive(10) is None, "there is nothing yet"
        ends.client.send(b"hello")
        assert ends.receive() == b"hello"
        assert ends.engine.send(b"world") == 5
        readable(ends.client.fileno())
        assert ends.client.recv(10) == b"world"


def test_a_record_is_read_at_a_time_into_the_room_that_there_is(direct: bool) -> None:
    with Ends(direct).meet() as ends:
        ends.client.send(b"a" * 20000)  # records of 16384 and 3616
        assert ends.receive() == b"a" * 16384
        assert ends.receive() == b"a" * 3616
        ends.client.send(b"bcd")
        readable(ends._accepted.fileno())
        assert [ends.engine.receive(2), ends.engine.receive(2)] == [b"bc", b"d"]


def test_a_full_kernel_takes_nothing_until_it_is_read(direct: bool) -> None:
    data = b"x" * 16384
    with Ends(direct, buffer=4096).meet() as ends:
        while ends.engine.send(data) is not None:
            pass
        while (done := ends.engine.send(data)) is None:  # the same bytes, once more
            readable(ends.client.fileno())
            with suppress(ssl.SSLWantReadError):
                ends.client.recv(65536)
        assert done == len(data)


def test_nothing_is_written_of_nothing(direct: bool) -> None:
    with Ends(direct).meet() as ends:
        assert ends.engine.send(b"") == 0


def test_an_orderly_end(direct: bool) -> None:
    with Ends(direct).meet() as ends:
        with suppress(OSError):  # Python reads on for the answer, which has not come
            ends.client.unwrap()
        assert ends.receive() == b""
        assert ends.engine.receive(10) == b"", "and again"
        ends.engine.say_bye()


def test_close_notify_is_sent_once_and_nothing_is_read_for_it(direct: bool) -> None:
    with Ends(direct).meet() as ends:
        ends.engine.say_bye()
        readable(ends.client.fileno())
        assert ends.client.recv(10) == b"", "an orderly end, seen from the other side"
        ends.client.send(b"late")
        if direct:
            assert ends.receive() == b"late"


def test_an_end_without_close_notify_is_an_error(direct: bool) -> None:
    with Ends(direct).meet() as ends:
        ends.engine.send(b"x")
        readable(ends.client.fileno())
        assert ends.client.recv(1) == b"x"  # and the ticket; or closing would be a reset
        os.close(ends.client.detach())
        with pytest.raises(ssl.SSLError, match=r"(?i)EOF") as caught:
            ends.receive()
        assert isinstance(caught.value, ssl.SSLEOFError) or not direct  # some versions of Python do not tell


def test_an_end_without_close_notify_is_not_answered() -> None:
    """OpenSSL would send an alert: too late, and the kernel would answer that with a reset."""
    with Ends(direct=True).meet() as ends:
        ends.engine.send(b"x")
        assert ends.client.recv(1) == b"x"
        far = socket.socket(fileno=ends.client.detach())
        far.shutdown(socket.SHUT_WR)
        with pytest.raises(ssl.SSLEOFError):
            ends.receive()
        ends._accepted.close()
        assert far.recv(100) == b""
        far.close()


def test_a_reset_is_an_error(direct: bool) -> None:
    with Ends(direct).meet() as ends:
        ends.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(ends.client.detach())
        # Not every version of Python can tell it from an end.
        with pytest.raises(ConnectionResetError if direct else (ConnectionResetError, ssl.SSLEOFError)):
            ends.receive()


def test_who_has_gone_cannot_be_written_to(direct: bool) -> None:
    with Ends(direct).meet() as ends:
        ends.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(ends.client.detach())
        readable(ends._accepted.fileno())
        with pytest.raises((ConnectionResetError, ssl.SSLError)):
            ends.engine.send(b"x")
        ends.engine.say_bye()


def test_junk_in_the_place_of_a_record_is_an_error(direct: bool) -> None:
    with Ends(direct).meet() as ends:
        sock = socket.socket(fileno=ends.client.detach())
        sock.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
        with pytest.raises(ssl.SSLError, match=r"(?i)bad.record.mac|decryption"):
            ends.receive()
        sock.close()


def test_why_a_handshake_failed_is_told_as_python_tells_it(direct: bool) -> None:
    with Ends(direct) as ends:
        ends.far = socket.socket(fileno=ends.client.detach())
        ends.far.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        with pytest.raises(ssl.SSLError) as caught:
            ends.step()
        assert caught.value.reason == "HTTP_REQUEST"
        ends.far.close()


def test_a_client_without_its_certificate_is_refused_with_openssls_reason(direct: bool) -> None:
    context = server()
    context.verify_mode = ssl.CERT_REQUIRED
    with Ends(direct, context) as ends:
        ends.greet()
        ends.client.do_handshake()
        with pytest.raises(ssl.SSLError) as caught:
            ends.step()
        assert caught.value.reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE"


def test_a_certificate_of_an_unknown_authority_is_refused_with_its_verdict(direct: bool) -> None:
    context, other = server(), client(ssl.TLSVersion.TLSv1_3)
    context.verify_mode = ssl.CERT_REQUIRED
    trustme.CA().issue_cert("alice@login.test").configure_cert(other)
    with Ends(direct, context, other) as ends:
        ends.greet()
        ends.client.do_handshake()
        with pytest.raises(ssl.SSLCertVerificationError) as caught:
            ends.step()
        assert caught.value.verify_message == "unable to get local issuer certificate"


def test_a_client_that_goes_in_the_handshake(direct: bool) -> None:
    with Ends(direct) as ends:
        ends.greet()
        ends.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(ends.client.detach())
        with pytest.raises(ConnectionResetError):
            ends.step()


def test_the_name_that_is_asked_for_is_heard(direct: bool) -> None:
    names = []
    context = server()
    context.sni_callback = lambda _, name, __: names.append(name)
    with Ends(direct, context).meet():
        assert names == ["login.test"]


def test_only_contexts_acknowledge_names() -> None:
    with pytest.raises(ValueError, match=r"ssl\.SSLContext"):
        acknowledge_names(object())  # type: ignore[arg-type]


def test_names_are_known_without_a_call_of_python() -> None:
    context = server()
    assert acknowledge_names(context)
    with Ends(True, context).meet() as ends:
        assert ends.engine.server_name == "login.test"
    nobody = context._wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), True)  # type: ignore[attr-defined]
    assert Engine(nobody).server_name is None


@pytest.mark.parametrize(("curve", "size"), [("X25519", 32), ("prime256v1", 65)])
def test_the_keys_of_a_handshake_are_wiped_when_it_is_done(curve: str, size: int) -> None:
    """OpenSSL keeps them with the connection: SSL_get_tmp_key(3) and SSL_get_peer_tmp_key(3)."""
    context, theirs = server(), client(ssl.TLSVersion.TLSv1_3)
    for each in (context, theirs):
        each.set_ecdh_curve(curve)
    sizes = []
    for direct in (False, True):
        with Ends(direct, context, theirs).meet() as ends:
            sizes.append([public_size(ends.engine, which) for which in (133, 109)])
            ends.client.send(b"hello")
            assert ends.receive() == b"hello"
            assert ends.engine.send(b"world") == 5
            assert ends.client.recv(5) == b"world"
    assert sizes == [[size] * 2, [0, 0]], "Python's methods leave them"


def public_size(engine: Engine, which: int) -> int:
    """Bytes of the public key that SSL_ctrl(3) gives; 0: it has none."""
    library = ctypes.CDLL(_ssl.__file__)
    pointer = ctypes.c_void_p.from_address(id(engine._sslobj) + 3 * ctypes.sizeof(ctypes.c_void_p))
    key, public = ctypes.c_void_p(), ctypes.c_void_p()
    assert library.SSL_ctrl(pointer, which, ctypes.c_long(0), ctypes.byref(key)) == 1
    size: int = library.EVP_PKEY_get1_encoded_public_key(key, ctypes.byref(public))
    library.CRYPTO_free(public, None, 0)
    library.EVP_PKEY_free(key)
    library.ERR_clear_error()
    return size


def test_openssls_own_functions_are_called_here() -> None:
    assert is_direct()


def test_what_is_no_object_of_ssl_is_left_to_its_own_methods() -> None:
    class Sslobj:
        """As a later Python, or another one, may make it."""

        def do_handshake(self) -> None:
            raise ssl.SSLWantWriteError

        def read(self, size: int, buffer: memoryview) -> int:
            buffer[:2] = b"ab"
            return 2

        def write(self, data: memoryview) -> int:
            raise ssl.SSLWantReadError

        def shutdown(self) -> None:
            raise ValueError

    engine = Engine(Sslobj())
    assert engine.direct is False
    assert engine.step() == -2
    assert engine.receive(5) == b"ab"
    assert engine.send(b"x") is None
    engine.say_bye()


def test_an_error_that_somebody_left_behind_is_not_taken_for_ones_own() -> None:
    """SSL_get_error(3) looks at the thread's queue of errors, whoever filled it."""
    library = ctypes.CDLL(_ssl.__file__)

    def leave_one() -> None:
        library.ERR_new()
        library.ERR_set_error(20, 1, None)  # ERR_LIB_SSL, and some reason
        assert library.ERR_peek_last_error()

    with Ends(direct=True).meet() as ends:
        leave_one()
        assert ends.engine.receive(10) is None
        leave_one()
        assert ends.engine.send(b"x") == 1
        leave_one()
        ends.engine.say_bye()
        assert not library.ERR_peek_last_error()
