from __future__ import annotations

import asyncio
import errno
import gc
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import pytest
import trustme

from lbproxy.net.tls import AcceptedTls
from lbproxy.net.transport.poller import Handler, Poller
from lbproxy.net.transport.stream import Stream
from tests.net.conftest import Open
from tests.net.peers import Peer, Recorder, TlsPeer, fill, let_expire, tcp_pair, turn, until

RECORD = 16384
"""The largest plaintext of a TLS record."""

CA = trustme.CA()
LEAF = CA.issue_cert("backend.test")


class Script(Recorder):
    """Does what the test says when there is something to read."""

    def __init__(self, on_readable: Callable[[Stream], None]) -> None:
        super().__init__()
        self.on_readable = on_readable

    def readable(self, stream: Stream) -> None:
        self.on_readable(stream)
        self.note("readable")


# --- plain


async def test_bytes_pass_both_ways_and_are_counted(open_stream: Open) -> None:
    handler = Recorder()
    stream, peer = open_stream(handler)
    await peer.send(b"to the stream")
    await until(lambda: handler.received == b"to the stream")
    assert stream.write(b"back")
    await peer.sees(b"back")
    assert (stream.received, stream.sent) == (13, 4)


async def test_the_end_is_told_once_all_was_read(open_stream: Open) -> None:
    handler = Recorder()
    stream, peer = open_stream(handler)
    await peer.send(b"x" * 200_000)
    peer.finish()
    await until(lambda: handler.ended)
    assert handler.received == b"x" * 200_000
    assert handler.error is None
    assert stream.write(b"still open this way")
    await peer.sees(b"still open this way")


async def test_a_reset_is_an_error(open_stream: Open) -> None:
    handler = Recorder()
    stream, peer = open_stream(handler)
    peer.reset()
    await until(lambda: handler.error)
    assert isinstance(handler.error, ConnectionResetError)
    assert stream.error is handler.error
    with pytest.raises(ConnectionError):
        stream.write(b"x")


async def test_nothing_to_read_is_none(open_stream: Open) -> None:
    stream, _ = open_stream(Recorder())
    assert stream.read() is None


async def test_a_paused_stream_is_not_told_until_it_resumes(open_stream: Open) -> None:
    handler = Recorder()
    stream, peer = open_stream(handler)
    stream.pause()
    stream.pause()
    await peer.send(b"waits")
    other = Recorder()
    _, other_peer = open_stream(other)
    await other_peer.send(b"passes")
    await until(lambda: other.received)
    assert handler.received == b""
    stream.resume()
    stream.resume()
    await until(lambda: handler.received == b"waits")


async def test_what_the_kernel_does_not_take_is_queued_in_order(open_stream: Open) -> None:
    handler = Recorder()
    stream, peer = open_stream(handler, buffer=4096)
    written = fill(stream)
    assert not stream.write(b"after it")
    await peer.sees(written + b"after it")
    await until(lambda: handler.told == ["writable"])
    assert not stream.has_queue()
    assert stream.write(b"at once again")
    assert stream.sent == len(written) + 8 + 13


async def test_a_queue_that_does_not_move_expires(open_stream: Open, poller: Poller) -> None:
    handler = Recorder()
    stream, _ = open_stream(handler, buffer=4096)
    stream.patience = 5.0
    assert stream.deadline == 0
    fill(stream)
    assert stream.deadline == poller.now + 5.0
    let_expire(poller, stream)
    assert handler.told == ["expired"]
    assert stream.deadline == 0


async def test_progress_of_the_queue_moves_its_deadline_and_its_end_lifts_it(open_stream: Open, poller: Poller) -> None:
    handler = Recorder()
    stream, peer = open_stream(handler, buffer=4096)
    stream.patience = 5.0
    written = fill(stream) + b"y" * 1_000_000
    stream.write(b"y" * 1_000_000)
    stream.deadline = soon = poller.now + 1.0
    seen = b""
    while stream.deadline == soon:
        seen += await peer.receive()
    assert stream.deadline == poller.now + 5.0
    assert seen + await peer.exactly(len(written) - len(seen)) == written
    await until(lambda: handler.told)
    assert (handler.told, stream.deadline) == (["writable"], 0)


async def test_a_queue_whose_peer_is_gone_is_lost(open_stream: Open) -> None:
    handler = Recorder()
    stream, peer = open_stream(handler, buffer=4096)
    stream.pause()
    fill(stream)
    peer.reset()
    await until(lambda: handler.told)
    assert handler.told == ["lost"]
    assert isinstance(handler.error, ConnectionError)
    with pytest.raises(ConnectionError):
        stream.write(b"x")


async def test_relay_says_what_came_of_it(open_stream: Open) -> None:
    results: list[str] = []
    target, sink = open_stream(Recorder(), buffer=4096)
    handler = Script(lambda stream: results.append(stream.relay(target)))
    source, peer = open_stream(handler)
    assert source.relay(target) == "nothing"
    await peer.send(b"one")
    await until(lambda: results == ["more"])
    await sink.sees(b"one")
    written = fill(target)
    await peer.send(b"two")
    await until(lambda: results == ["more", "queued"])
    await sink.sees(written + b"two")
    peer.finish()
    await until(lambda: results[-1] == "end")


async def test_relay_raises_what_either_end_failed_with(open_stream: Open) -> None:
    source, peer = open_stream(Script(lambda stream: None))
    target, sink = open_stream(Recorder())
    source.pause()
    await peer.send(b"x")
    sink.reset()
    handler = target.handler
    assert isinstance(handler, Recorder)
    await until(lambda: handler.error)
    with pytest.raises(ConnectionError):
        source.relay(target)
    assert source.error is None
    peer.reset()
    with pytest.raises(ConnectionResetError):
        source.relay(target)


@pytest.mark.parametrize("what", ["nothing", "bytes", "end", "reset"])
async def test_quiet_is_only_a_peer_that_said_nothing(open_stream: Open, what: str) -> None:
    handler = Script(lambda stream: stream.pause())
    stream, peer = open_stream(handler)
    if what == "nothing":
        assert stream.is_quiet()
        return
    if what == "bytes":
        await peer.send(b"x")
    else:
        {"end": peer.finish, "reset": peer.reset}[what]()
    await until(lambda: handler.told)
    assert not stream.is_quiet()
    if what == "bytes":
        assert stream.read() == b"x", "it was only looked at"


async def test_discard_drops_bytes_and_tells_the_end(open_stream: Open) -> None:
    seen: list[bool] = []
    handler = Script(lambda stream: seen.append(stream.discard()))
    stream, peer = open_stream(handler)
    assert stream.discard()
    await peer.send(b"dropped")
    await until(lambda: seen == [True])
    peer.finish()
    await until(lambda: seen[-1] is False)
    assert stream.received == 7
    stream.close()


async def test_finish_writing_leaves_the_other_way_open(open_stream: Open) -> None:
    handler = Recorder()
    stream, peer = open_stream(handler)
    stream.write(b"last words")
    stream.finish_writing()
    assert await peer.rest() == b"last words"
    await peer.send(b"an answer")
    await until(lambda: handler.received == b"an answer")


async def test_close_is_in_order_and_abort_is_a_reset(open_stream: Open, poller: Poller) -> None:
    stream, peer = open_stream(Recorder())
    stream.close()
    stream.close()
    stream.abort()
    assert await peer.rest() == b""
    assert stream.closed
    with pytest.raises(ConnectionError, match="closed"):  # and nothing goes to whoever has its descriptor now
        stream.write(b"x")
    other, other_peer = open_stream(Recorder())
    other.abort()
    other.close()
    await other_peer.is_reset()
    assert poller.streams == 0


async def test_a_closed_stream_calls_nobody(open_stream: Open, poller: Poller) -> None:
    """Both ends of the same event: the first handler closes the stream that would be told next."""
    handler = Recorder()
    stream, peer = open_stream(handler, buffer=4096)
    stream.patience = 1.0
    fill(stream)
    await peer.send(b"x")
    closer = Script(lambda _: stream.close())
    _, other = open_stream(closer)
    await other.send(b"x")
    await until(lambda: closer.told)
    await peer.rest()
    poller.tick()
    stream.resume()
    assert handler.told == []
    assert stream.closed


async def test_a_handler_may_close_its_own_stream(open_stream: Open) -> None:
    handler = Script(lambda stream: stream.close())
    stream, peer = open_stream(handler)
    await peer.send(b"x")
    await until(lambda: handler.told)
    assert stream.closed


async def test_says_what_it_is(open_stream: Open) -> None:
    stream, peer = open_stream(Recorder())
    assert repr(stream) == f"<Stream tcp fd={stream.fd} received=0 sent=0>"
    stream.write(b"abc")
    stream.close()
    assert repr(stream) == f"<Stream tcp fd={stream.fd} received=0 sent=3 closed>"
    await peer.sees(b"abc")


# --- connecting


def connecting(poller: Poller, handler: Handler, address: tuple[str, int]) -> Stream:
    sock = socket.socket()
    sock.setblocking(False)
    assert sock.connect_ex(address) in (0, errno.EINPROGRESS)
    stream = Stream(poller, sock.detach(), handler)
    stream.await_connect()
    return stream


async def test_a_connect_is_told(poller: Poller) -> None:
    handler = Recorder()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stream = connecting(poller, handler, listener.getsockname())
        await until(lambda: handler.told == ["connected"])
        stream.start()
        accepted, _ = listener.accept()
    accepted.sendall(b"hello")
    await until(lambda: handler.received == b"hello")
    accepted.close()
    stream.close()


async def test_a_refused_connect_is_lost(poller: Poller) -> None:
    handler = Recorder()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
    stream = connecting(poller, handler, address)
    await until(lambda: handler.told == ["lost"])
    assert isinstance(handler.error, ConnectionRefusedError)
    stream.close()


# --- TLS


def server_context(**versions: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF  # which some versions of Python set
    LEAF.configure_cert(context)
    for name, version in versions.items():
        setattr(context, name, version)
    return context


def client_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    CA.configure_trust(context)
    return context


class Secured:
    """A stream that is a TLS server, its handler, and its peer after the handshake."""

    def __init__(self, poller: Poller, context: ssl.SSLContext, buffer: int) -> None:
        near, far = tcp_pair(buffer)
        tls = context.wrap_socket(near, server_side=True, do_handshake_on_connect=False, suppress_ragged_eofs=False)
        self.handler = Recorder()
        self.stream = Stream(poller, tls.fileno(), self.handler, tls)
        self.stream.start()
        self.peer = TlsPeer(far, client_context(), "backend.test")

    async def shake_hands(self, first: bytes = b"") -> None:
        await self.peer.shake_hands(first)
        await until(lambda: self.handler.told == ["secured"])


OpenTls = Callable[..., Secured]


@pytest.fixture
async def open_tls(poller: Poller) -> AsyncIterator[OpenTls]:
    made: list[Secured] = []

    def make(buffer: int = 0, **versions: ssl.TLSVersion) -> Secured:
        made.append(Secured(poller, server_context(**versions), buffer))
        return made[-1]

    yield make
    for each in made:
        each.stream.close()
        each.peer.close()


LONG = [f"name-{number}.of-a-domain-that-is-long.test" for number in range(700)]
"""Names for a certificate that is larger than the kernel's buffer."""


async def test_tls_whose_handshake_waits_for_room_is_not_broken_by_it(poller: Poller) -> None:
    """The ticket, which has the client's certificate in it, has to wait when the client's first bytes come."""
    server, client = server_context(), client_context()
    CA.configure_trust(server)
    server.verify_mode = ssl.CERT_REQUIRED
    CA.issue_cert("backend.test", *LONG).configure_cert(client)
    near, far = tcp_pair(4096)
    handler = Recorder()
    stream = Stream(poller, near.fileno(), handler, AcceptedTls(near.detach(), server))
    stream.start()
    peer = TlsPeer(far, client, "backend.test")
    await peer.shake_hands(b"hello")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(peer.sees(b"world"))  # and before that the ticket
        await until(lambda: handler.received == b"hello")
        stream.write(b"world")
    assert set(handler.told) <= {"secured", "writable"}
    assert handler.error is None
    stream.close()
    peer.close()


async def test_tls_that_waits_for_room_does_not_look_at_what_it_cannot_use(poller: Poller) -> None:
    """What is there to be read would be reported for ever."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    CA.issue_cert("backend.test", *LONG).configure_cert(server)
    near, far = tcp_pair(4096)
    handler = Recorder()
    stream = Stream(poller, near.fileno(), handler, AcceptedTls(near.detach(), server))
    stream.start()
    peer = TlsPeer(far, client_context(), "backend.test")
    with suppress(ssl.SSLWantReadError):
        peer._tls.do_handshake()
    await peer.flush()
    await until(lambda: not stream.reading)
    await peer.shake_hands(b"hello")
    await until(lambda: handler.received == b"hello")
    assert (handler.told, stream.reading) == (["secured"], True)
    stream.close()
    peer.close()


async def test_tls_may_be_closed_in_the_middle_of_its_handshake(poller: Poller) -> None:
    server = server_context()
    streams: list[Stream] = []
    server.sni_callback = lambda *_: streams[-1].close()
    for _ in range(20):
        near, far = tcp_pair()
        handler = Recorder()
        streams.append(Stream(poller, near.fileno(), handler, AcceptedTls(near.detach(), server)))
        streams[-1].start()
        peer = TlsPeer(far, client_context(), "backend.test")
        with suppress(ssl.SSLWantReadError):
            peer._tls.do_handshake()
        await peer.flush()
        await until(lambda: streams[-1].closed)
        assert handler.told == []
        peer.close()


async def test_tls_that_has_more_than_its_descriptor_is_not_quiet(open_tls: OpenTls) -> None:
    ended, half = open_tls(), open_tls()
    await ended.shake_hands()
    await half.shake_hands()
    quiet: list[bool] = []
    ended.stream.handler = Script(lambda stream: quiet.append(bool(stream.read()) and stream.is_quiet()))
    ended.peer._tls.write(b"x" * RECORD)
    ended.peer.close_notify()  # comes with a whole record, so that the end is known when that is read
    await ended.peer.flush()
    await until(lambda: quiet)
    assert quiet[0] is False
    assert half.stream.is_quiet()
    before = half.stream.is_quiet()
    await Peer.send(half.peer, half.peer.encrypted(b"nobody asked for this")[:12])
    await until(lambda: not half.stream.is_quiet())
    for _ in range(20):
        await turn()  # the stream has read what there is
    assert (before, half.stream.is_quiet(), half.handler.received) == (True, False, b"")


async def test_tls_says_goodbye_though_bytes_are_unread(open_tls: OpenTls) -> None:
    tls = open_tls()
    await tls.shake_hands()
    tls.stream.pause()
    await tls.peer.send(b"late")
    await until(lambda: not tls.stream.is_quiet())
    tls.stream.finish_writing()
    assert await tls.peer.receive() == b"", "an orderly end"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_tls_both_ways(open_tls: OpenTls, version: ssl.TLSVersion) -> None:
    tls = open_tls(maximum_version=version)
    await tls.shake_hands(b"sent with the last message of the handshake")
    await until(lambda: tls.handler.received == b"sent with the last message of the handshake")
    assert tls.stream.write(b"back")
    await tls.peer.sees(b"back")
    tls.handler.received = b""
    await tls.peer.send(b"z" * 300_000)
    await until(lambda: len(tls.handler.received) == 300_000)
    assert repr(tls.stream).startswith("<Stream tls ")


async def test_tls_to_a_slow_reader_is_retried_with_the_same_bytes(open_tls: OpenTls) -> None:
    tls = open_tls(buffer=4096)
    await tls.shake_hands()
    written = fill(tls.stream)
    tls.stream.write(b"more " * 30_000)
    await tls.peer.sees(written + b"more " * 30_000)
    await until(lambda: tls.handler.told == ["secured", "writable"])
    assert tls.stream.sent == len(written) + 150_000


async def test_tls_client_verifies_and_is_told(poller: Poller) -> None:
    near, far = tcp_pair()
    handler = Recorder()
    tls = client_context().wrap_socket(
        near, server_hostname="backend.test", do_handshake_on_connect=False, suppress_ragged_eofs=False
    )
    stream = Stream(poller, tls.fileno(), handler, tls)
    stream.start()
    peer = TlsPeer(far, server_context())
    await peer.shake_hands(b"early words of the server")
    await until(lambda: handler.received == b"early words of the server")
    assert handler.told == ["secured"]
    stream.close()
    assert await peer.rest() == b"", "a close_notify, not a bare FIN"
    peer.close()


async def test_tls_client_refuses_another_name(poller: Poller) -> None:
    near, far = tcp_pair()
    handler = Recorder()
    tls = client_context().wrap_socket(
        near, server_hostname="another.test", do_handshake_on_connect=False, suppress_ragged_eofs=False
    )
    stream = Stream(poller, tls.fileno(), handler, tls)
    stream.start()
    peer = TlsPeer(far, server_context())
    with pytest.raises(ssl.SSLError, match="alert"):
        await peer.shake_hands()
    await until(lambda: handler.told == ["lost"])
    assert isinstance(handler.error, ssl.SSLCertVerificationError)
    stream.close()
    peer.close()


@pytest.mark.parametrize("first", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff", b""])
async def test_a_handshake_that_fails_is_lost(open_tls: OpenTls, first: bytes) -> None:
    tls = open_tls()
    await Peer(tls.peer.sock).send(first)
    tls.peer.finish()
    await until(lambda: tls.handler.told == ["lost"])
    assert isinstance(tls.handler.error, ssl.SSLError)


async def test_a_peer_that_left_before_the_handshake_is_lost(poller: Poller) -> None:
    near, far = tcp_pair()
    Peer(far).reset()
    with pytest.raises(ConnectionResetError):
        near.recv(1)
    handler = Recorder()
    tls = server_context().wrap_socket(near, server_side=True, do_handshake_on_connect=False)
    stream = Stream(poller, tls.fileno(), handler, tls)
    stream.start()
    await until(lambda: handler.told == ["lost"])
    assert isinstance(handler.error, ConnectionResetError)
    stream.close()


async def test_tls_clean_and_ragged_ends_differ(open_tls: OpenTls) -> None:
    clean, ragged = open_tls(), open_tls()
    for tls in (clean, ragged):
        await tls.shake_hands()
        tls.stream.write(b"x")
        assert await tls.peer.receive() == b"x", "and the session tickets are received too"
    clean.peer.close_notify()
    await clean.peer.flush()
    await until(lambda: clean.handler.ended)
    assert clean.handler.error is None
    ragged.peer.finish()
    await until(lambda: ragged.handler.ended)
    assert isinstance(ragged.handler.error, ssl.SSLEOFError)
    clean.stream.close()
    ragged.stream.close()
    assert await Peer.receive(clean.peer), "a close_notify"
    assert await Peer.receive(ragged.peer) == b"", "none: OpenSSL takes such an end for an error"


@pytest.mark.parametrize("records", [1, 2, 3, 4, 5])
async def test_tls_end_behind_full_records_is_told(open_tls: OpenTls, records: int) -> None:
    """Data that fills its last record, and the end, in one segment: no further event will come for the end."""
    tls = open_tls()
    await tls.shake_hands()
    tls.stream.pause()
    await Peer(tls.peer.sock).send(tls.peer.encrypted(b"r" * RECORD * records, last=True))
    tls.stream.resume()
    await until(lambda: tls.handler.ended)
    assert tls.handler.received == b"r" * RECORD * records
    assert tls.handler.error is None


async def test_tls_error_behind_full_records_is_told(open_tls: OpenTls) -> None:
    tls = open_tls()
    await tls.shake_hands()
    tls.stream.pause()
    forged = b"\x17\x03\x03\x00\x20" + b"!" * 32
    await Peer(tls.peer.sock).send(tls.peer.encrypted(b"r" * RECORD) + forged)
    tls.stream.resume()
    await until(lambda: tls.handler.ended)
    assert tls.handler.received == b"r" * RECORD
    assert isinstance(tls.handler.error, ssl.SSLError)


async def test_tls_half_close_goes_on_reading(open_tls: OpenTls) -> None:
    tls = open_tls()
    await tls.shake_hands()
    tls.stream.finish_writing()
    assert await tls.peer.rest() == b""
    await tls.peer.send(b"an answer")
    await until(lambda: tls.handler.received == b"an answer")
    tls.peer.close_notify()
    await tls.peer.flush()
    await until(lambda: tls.handler.ended)
    assert tls.handler.error is None, "the peer's close_notify is a clean end also after our own"


async def test_tls_half_close_loses_nothing_that_is_there_already(open_tls: OpenTls) -> None:
    tls = open_tls()
    await tls.shake_hands()
    tls.stream.pause()
    await tls.peer.send(b"on its way")
    tls.stream.finish_writing()
    tls.stream.resume()
    await until(lambda: tls.handler.received == b"on its way")
    assert tls.handler.error is None


async def test_tls_abort_sends_no_close_notify(open_tls: OpenTls) -> None:
    tls = open_tls()
    await tls.shake_hands()
    tls.stream.abort()
    await tls.peer.is_reset()


async def test_tls_lost_while_writing(open_tls: OpenTls) -> None:
    tls = open_tls(buffer=4096)
    await tls.shake_hands()
    tls.stream.pause()
    fill(tls.stream)
    tls.peer.reset()
    await until(lambda: tls.handler.told == ["secured", "lost"])
    assert isinstance(tls.handler.error, OSError)


# --- what must not happen


@pytest.mark.parametrize("how", ["close", "abort", "release"])
async def test_a_closed_stream_cannot_reach_the_next_one_with_its_number(open_stream: Open, how: str) -> None:
    gc.collect()  # or a socket of a test before may be closed meanwhile, and a lower number be free
    stream, peer = open_stream(Recorder())
    number = stream.fd
    kept = getattr(stream, how)()
    peer.close()
    if how == "release":
        os.close(kept)
    others = [tcp_pair() for _ in range(4)]
    assert number in {sock.fileno() for pair in others for sock in pair}, "the kernel gives the lowest number"
    assert stream.fd == -1
    assert not stream.is_quiet()
    assert not stream.discard()
    stream.finish_writing()
    with pytest.raises(OSError, match=r"descriptor|closed"):
        stream.write(b"for another one")
    sockets = [sock for pair in others for sock in pair]
    for sock in sockets:
        with pytest.raises(BlockingIOError):
            sock.recv(1)
    for sock in sockets:
        sock.close()
