"""A listener in front of backends whose every byte is the test's."""

from __future__ import annotations

import asyncio
import base64
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from lbproxy import reasons
from lbproxy.balance.backend import Backend
from lbproxy.balance.health import Rules
from lbproxy.balance.pool import Pool
from lbproxy.net.http.web import WebOptions, WebService
from lbproxy.net.listener.listener import Listener, ListenerOptions
from lbproxy.net.tls import ServerTls
from lbproxy.net.transport.descriptor_budget import DescriptorBudget
from lbproxy.net.transport.poller import Poller
from lbproxy.net.upstream.lane import LaneOptions, Lanes
from lbproxy.record import Record, Trace
from tests.net.dialogue import HEADER_TIMEOUT, answer, make_site, request
from tests.net.peers import PATIENCE, Peer, until


class Place:
    """A backend: the `Backend` that lbproxy knows, and the socket where lanes arrive."""

    def __init__(self, name: str, poller: Poller, ends: dict[str, int], scheme: str = "http") -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)
        address = self.listener.getsockname()
        self.backend = Backend(name, f"{scheme}://127.0.0.1:{address[1]}")
        self.backend.lanes = Lanes(self.backend, poller, LaneOptions(connect_timeout=2.0, idle_timeout=4.0), ends)
        self.backend.lanes.address = socket.AF_INET, address
        self.lanes: list[Peer] = []

    async def lane(self) -> Peer:
        """The far end of the next lane that is opened."""
        async with asyncio.timeout(PATIENCE):
            sock, _ = await asyncio.get_running_loop().sock_accept(self.listener)
        self.lanes.append(Peer(sock))
        return self.lanes[-1]

    @contextmanager
    def accepts_nobody(self) -> Iterator[None]:
        """Its queue is full, so the kernel answers no connect."""
        self.listener.listen(0)
        with ExitStack() as stack:
            for _ in range(2):
                waiting = stack.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(self.listener.getsockname())
            yield

    def close(self) -> None:
        for lane in self.lanes:
            lane.close()
        self.listener.close()


class ListenerFixture:
    """One listener, one pool of backends that are up, and clients.

    `records` are what the access log was told. `close` asserts that nothing is left open, and that what is counted up
    was counted down.
    """

    def __init__(
        self,
        poller: Poller,
        backends: int = 1,
        tls: ServerTls | None = None,
        sock: socket.socket | None = None,
        **options: Any,
    ) -> None:
        """sock: listening, if not on 127.0.0.1; options: of the listener, and of what it serves."""
        self.poller = poller
        self.lane_ends: dict[str, int] = {}
        self.places = [Place(f"c{number + 1}", poller, self.lane_ends) for number in range(backends)]
        self.backends = [place.backend for place in self.places]
        self.pool = Pool("connectors", self.backends, Rules(rise=2, consecutive_errors=3), "refuse")
        for backend in self.backends:
            self.pool.probed(backend, True, "", poller.now)
        self.records: list[Record] = []
        self.traces: list[Trace] = []
        self.emptied = 0
        here = {key: options.pop(key) for key in set(options) & {"slow_after", "retry_statuses", "sample"}}
        named = options.get("request_id", b"")
        self.site = make_site(max_head=65536, round_robin=self.pool.rotation, request_id=named, **here)
        ours = {key: options.pop(key) for key in set(options) & set(WebOptions.__slots__)}
        web_options = WebOptions(**{"server_url": "https://a.test", "retry_after": 2, **ours})
        self.web = WebService(web_options, poller, self.site, self.pool, tls, self.records.append, self.traces.append)
        room = options.pop("room", 1000)
        defaults: dict[str, Any] = {"name": "login", "max_connections": 100, "header_timeout": HEADER_TIMEOUT}
        made = ListenerOptions(**{**defaults, "on_empty": self._emptied, **options})
        self.socket = sock or socket.create_server(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.listener = Listener(made, self.socket, poller, self.web, DescriptorBudget(poller, room))
        self.listener.start()
        self.clients: list[Peer] = []

    def _emptied(self) -> None:
        self.emptied += 1

    async def connect(self) -> Peer:
        """A new client, not necessarily accepted yet."""
        sock = socket.socket(self.socket.family)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, self.socket.getsockname())
        self.clients.append(Peer(sock))
        return self.clients[-1]

    def arrives(self, data: bytes) -> Peer:
        """A new client that has sent `data` already, though the loop has not turned meanwhile."""
        sock = socket.create_connection(self.socket.getsockname())
        sock.sendall(data)
        sock.setblocking(False)
        self.clients.append(Peer(sock))
        return self.clients[-1]

    @property
    def ends(self) -> list[str]:
        """How the requests ended."""
        return [record.reason for record in self.records]

    async def close(self) -> None:
        for client in self.clients:
            client.close()
        try:
            await until(lambda: not self.listener.connections)
            self.counters_are_level()
        finally:
            self.listener.stop(reasons.SHUTDOWN)
            for backend in self.backends:
                backend.lanes.close_idle(reasons.LANE_DRAINED)
            for place in self.places:
                place.close()
            self.socket.close()

    def counters_are_level(self) -> None:
        """No client is there: what was counted up was counted down, and only idle lanes are open."""
        assert {backend.name: backend.active for backend in self.backends if backend.active} == {}
        assert {backend.name: backend.lanes.private for backend in self.backends if backend.lanes.private} == {}
        idle = [lane for backend in self.backends for lane in backend.lanes.idle if not lane.closed]
        assert self.poller.streams == len(idle)


async def answered(home: ListenerFixture, client: Peer) -> bytes:
    """A request is served over a new lane; the head that the backend got."""
    await client.send(request())
    lane = await home.places[0].lane()
    seen = await lane.head()
    await lane.send(answer(b"ok"))
    await client.sees(answer(b"ok"))
    return seen


# --- credentials, as RFC 4559 and [MS-NLMP] frame them


def _der(tag: int, content: bytes) -> bytes:
    assert len(content) < 128
    return bytes((tag, len(content))) + content


def kerberos(name: str = "alice") -> bytes:
    """An Authorization line with a Kerberos token in which `name` stands for the ticket."""
    pvno_and_type = bytes.fromhex("a003020105a10302010e")  # an AP-REQ: RFC 4120 section 5.5.1
    ap_req = _der(0x6E, _der(0x30, pvno_and_type + _der(0xA3, name.encode())))
    mechanism = bytes.fromhex("06092a864886f712010202")
    return b"Authorization: Negotiate " + base64.b64encode(_der(0x60, mechanism + b"\x01\x00" + ap_req))


def ntlm(kind: int) -> bytes:
    """An Authorization line with an NTLM message."""
    return b"Authorization: NTLM " + base64.b64encode(b"NTLMSSP\0" + kind.to_bytes(4, "little") + bytes(8))


BEARER = b"Authorization: Bearer abc"
OFFER = b"WWW-Authenticate: Negotiate"
LEG = b"WWW-Authenticate: NTLM TlRMTVNTUAACAAAA"
