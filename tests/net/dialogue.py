"""One exchange between a client and backends whose every byte is the test's."""

from __future__ import annotations

import math
import socket
from collections.abc import Callable, Iterable

from lbproxy import reasons
from lbproxy.balance.round_robin import RoundRobin
from lbproxy.net.http.exchange import Exchange
from lbproxy.net.http.phases import Phase
from lbproxy.net.http.request_ids import IdSource
from lbproxy.net.http.site import Site
from lbproxy.net.transport.lingering_close import LingeringClose
from lbproxy.net.transport.poller import Handler, Poller
from lbproxy.net.transport.stream import Stream
from lbproxy.reasons import Reason
from lbproxy.wire.fields import Limits
from lbproxy.wire.headers import RESPONSE_FIELDS, RESPONSE_TRAILERS, request_fields, request_trailers
from lbproxy.wire.request_heads import Forwarding, RequestHead
from lbproxy.wire.response_heads import ResponseHead
from tests.net.peers import Peer, let_expire, settled, tcp_pair, until

HEADER_TIMEOUT, IDLE_TIMEOUT, RESPONSE_TIMEOUT = 10.0, 60.0, 30.0
MAX_HEAD = 8192

FORWARDED = (
    b"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a.test\r\nX-Forwarded-Port: 80\r\n"
)


def request(line: bytes = b"GET /x", *lines: bytes, body: bytes = b"", version: bytes = b"HTTP/1.1") -> bytes:
    """A request as a client sends it."""
    return b"\r\n".join((line + b" " + version, b"Host: a.test", *lines, b"", b"")) + body


def forwarded(line: bytes = b"GET /x", *lines: bytes, body: bytes = b"") -> bytes:
    """The same as a backend gets it."""
    head = b"".join(each + b"\r\n" for each in (line + b" HTTP/1.1", b"Host: a.test", *lines))
    return head + FORWARDED + b"\r\n" + body


def answer(body: bytes = b"", *lines: bytes, status: bytes = b"200 OK") -> bytes:
    """An answer whose body has a length."""
    return head(b"Content-Length: %d" % len(body), *lines, status=status) + body


def head(*lines: bytes, status: bytes = b"200 OK") -> bytes:
    return b"\r\n".join((b"HTTP/1.1 " + status, *lines, b"", b""))


def refusal(reason: Reason, keep: bool = False) -> bytes:
    """What `Decisions` answers in lbproxy's name."""
    return answer(
        reason.label.encode(),
        b"Connection: keep-alive" if keep else b"Connection: close",
        status=b"%d No" % reason.status,
    )


def _ids(request_id: bytes, sample: float | None) -> IdSource | None:
    if sample is None:
        return IdSource() if request_id else None
    return IdSource(bool(request_id), True, sample, True)


def make_site(
    logs: bool = True,
    max_head: int = MAX_HEAD,
    host_served: Callable[[bytes], bool] = lambda host: host.endswith(b".test"),
    path_denied: Callable[[bytes], bool] = lambda target: False,
    slow_after: float = 0.0,
    retry_statuses: Iterable[int] = (),
    round_robin: RoundRobin | None = None,
    bare_lf: bool = False,
    request_id: bytes = b"",
    sample: float | None = None,
) -> Site:
    limits = Limits(max_head, 1024, 64)
    return Site(
        RequestHead(limits, request_fields(request_id=request_id.decode(), traces=sample is not None)),
        ResponseHead(limits, RESPONSE_FIELDS, bare_lf),
        request_trailers(),
        RESPONSE_TRAILERS,
        Forwarding(b"http", b"80", b"a.test", request_id=request_id),
        round_robin,
        host_served=host_served,
        denied_paths=(b"/denied",),
        path_denied=path_denied,
        header_timeout=HEADER_TIMEOUT,
        idle_timeout=IDLE_TIMEOUT,
        response_timeout=RESPONSE_TIMEOUT,
        logs=logs,
        slow_after=slow_after,
        retry_statuses=frozenset(retry_statuses),
        ids=_ids(request_id, sample),
    )


class Resting(Handler):
    """A lane's stream while no request is on it."""

    def readable(self, stream: Stream) -> None:
        stream.close()

    def covered(self, stream: Stream) -> bool:
        return True


class Decisions:
    """A policy without opinions: takes the lanes in `free` in turn, fails with the lane, and notes what it is told.

    `told` are the names of the calls with what they bring. `faulty` is a call that raises, after so many that do not.
    """

    def __init__(self, *lanes: Stream) -> None:
        self.free = list(lanes)
        self.waits = False  # leave a request waiting for its lane
        self.retries = False  # take the next lane when one failed
        self.keeps: int | None = None  # bytes of a body that are kept to be sent again
        self.faulty = ("", 0)
        self.fresh = True
        self.told: list[tuple[object, ...]] = []
        self.tunnel: tuple[Stream, bytes] | None = None

    def note(self, what: str, *details: object) -> None:
        self.told.append((what, *details))
        if self.faulty == (what, len(self.told_of(what)) - 1):
            raise RuntimeError(f"a fault in {what}")

    def told_of(self, *names: str) -> list[tuple[object, ...]]:
        """Those calls only."""
        return [call for call in self.told if call[0] in names]

    def route(self, exchange: Exchange) -> None:
        self.note("route")
        if self.keeps is not None:
            exchange.keep_body(self.keeps)
        if not self.waits:
            self._next(exchange, reasons.NO_BACKEND)

    def _next(self, exchange: Exchange, otherwise: Reason) -> None:
        if self.free:
            exchange.run(self.free.pop(0), self.fresh)
        else:
            exchange.refuse(otherwise)

    def following(self) -> None:
        self.note("following")

    def slow(self, exchange: Exchange) -> None:
        self.note("slow")

    def log(self, exchange: Exchange, reason: Reason) -> None:
        self.note("log", reason)

    def asks_again(self, exchange: Exchange, status: int) -> bool:
        self.note("asks_again", status)
        return self.retries

    def answering(self, exchange: Exchange, head: ResponseHead) -> None:
        self.note("answering", exchange.status)

    def lane_failed(self, exchange: Exchange, link: Stream, reason: Reason) -> None:
        link.close()
        self.note("lane_failed", reason)
        if self.waits:
            return
        if self.retries and reason.retry:
            self._next(exchange, reason)
        else:
            exchange.refuse(reason)

    def tunnel_opened(self, exchange: Exchange, link: Stream, early: bytes) -> None:
        self.tunnel = link, early
        self.note("tunnel_opened", early)

    def finished(self, exchange: Exchange, link: Stream | None, reusable: bool, reason: Reason) -> None:
        if link is not None and reusable:
            link.watch(Resting(), math.inf)
            self.free.insert(0, link)
        elif link is not None:
            link.close()
        self.note("finished", reason, reusable)

    def hang_up(self, exchange: Exchange, gently: bool) -> None:
        self.note("hang_up", gently)
        LingeringClose(exchange.client, gently, lambda: self.note("closed"))

    def ended(self, exchange: Exchange, reason: Reason | None) -> None:
        exchange.client.close()
        self.note("ended", reason)

    def refusal(self, exchange: Exchange, reason: Reason, keep: bool) -> bytes:
        self.note("refusal", reason)
        return refusal(reason, keep)

    def rewrite_location(self, value: bytes) -> bytes:
        return value.replace(b"http://backend:4000", b"https://a.test")


class Dialogue:
    """An exchange, its policy, the client, and a backend at the end of each lane."""

    def __init__(self, poller: Poller, site: Site, lanes: int = 1, slow: str = "") -> None:
        """slow: for whom of "client" and "backend" the kernel holds a few KB only, so that reading slowly shows."""
        self.poller = poller
        self.site = site
        near, far = tcp_pair(4096 if "client" in slow else 0)
        self.client = Peer(far)
        pairs = [tcp_pair(4096 if "backend" in slow else 0) for _ in range(lanes)]
        self.backends = [Peer(far) for _, far in pairs]
        self.backend = self.backends[0]
        self.lanes = [self._stream(near) for near, _ in pairs]
        self.policy = Decisions(*self.lanes)
        stream = self._stream(near)
        self.exchange = Exchange(site, stream, self.policy, b"192.0.2.1", False)
        self.exchange.serve()

    def _stream(self, sock: socket.socket) -> Stream:
        stream = Stream(self.poller, sock.detach(), Resting())
        stream.start()
        return stream

    def close(self) -> None:
        for stream in (self.exchange.client, *self.lanes):
            stream.close()
        for peer in (self.client, *self.backends):
            peer.close()

    async def told(self, *call: object) -> None:
        """The policy is told this, sooner or later."""
        await until(lambda: call in self.policy.told)

    async def stands_still(self) -> None:
        """Nobody can send any more."""
        await settled(lambda: [(stream.sent, stream.received) for stream in (self.exchange.client, *self.lanes)])

    async def ends_its_body(self, rest: bytes) -> None:
        """The client sends it byte by byte, so that the last one moves nothing else in the kernel."""
        for byte in rest:
            await self.stands_still()
            await self.client.send(bytes((byte,)))
        await self.stands_still()

    def told_of(self, *names: str) -> list[tuple[object, ...]]:
        return self.policy.told_of(*names)

    @property
    def ends(self) -> list[object]:
        """How requests ended, and how the client connection did without one."""
        return [call[1] for call in self.told_of("finished", "ended") if call[1] is not None]

    def drain(self) -> None:
        self.site.draining = True
        self.exchange.drain()

    def client_expires(self) -> None:
        let_expire(self.poller, self.exchange.client)

    def lane_expires(self) -> None:
        assert self.exchange.link is not None
        let_expire(self.poller, self.exchange.link)

    def waits_for(self, *expected: str) -> None:
        """Whose deadlines run: "client", "lane"."""
        running = {"client": self.exchange.client.deadline}
        if self.exchange.link is not None:
            running["lane"] = self.exchange.link.deadline
        assert {name for name, deadline in running.items() if deadline} == set(expected)


Step = tuple[str, bytes]


async def play(dialogue: Dialogue, steps: Iterable[Step], piece: int = 1 << 30) -> None:
    """Each step is who (`C`lient or `B`ackend) sends (`C>`) or gets (`>C`) what.

    `C>.` and `B>.` half-close, `C>!` and `B>!` reset; `>C.` and `>B.` is a clean end, `>C!` and `>B!` a reset.
    piece: bytes that are sent at once.
    """
    for who, data in steps:
        peer = dialogue.client if "C" in who else dialogue.backend
        match who:
            case "C>" | "B>":
                for at in range(0, len(data), piece):
                    await peer.send(data[at : at + piece])
            case ">C" | ">B":
                await peer.sees(data)
                nobody_waits_for_ever(dialogue.exchange)
            case "C>." | "B>.":
                peer.finish()
            case "C>!" | "B>!":
                peer.reset()
            case ">C." | ">B.":
                assert await peer.rest() == b""
            case ">C!" | ">B!":
                await peer.is_reset()
            case _:
                raise AssertionError(who)


def nobody_waits_for_ever(exchange: Exchange) -> None:
    """Whatever an exchange waits for has a deadline. (A lane that is awaited has one of its own.)"""
    if exchange.phase in (Phase.WAITING, Phase.ENDED):
        return
    deadlines = [exchange.client.deadline]
    if exchange.link is not None:
        deadlines.append(exchange.link.deadline)
    assert any(deadlines), f"{exchange} would wait for ever"
