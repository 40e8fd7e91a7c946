"""Requests of clients, and their answers, as several tests of client connections need them."""

from __future__ import annotations

from lbproxy.net.http.client import ClientConnection
from tests.net.dialogue import answer, head, request
from tests.net.listener_fixture import ListenerFixture, kerberos
from tests.net.peers import Peer, until

UNAUTHORIZED = b"401 Unauthorized"
UPGRADE = (b"Connection: upgrade", b"Upgrade: websocket")


async def ask(client: Peer, lane: Peer, *lines: bytes, reply: bytes = b"", line: bytes = b"GET /x") -> bytes:
    """One request, and its answer over `lane`; the head that the backend got."""
    await client.send(request(line, *lines))
    seen = await lane.head()
    await lane.send(reply or answer(b"ok"))
    await client.sees(reply or answer(b"ok"))
    return seen


async def first(front: ListenerFixture, client: Peer, number: int, *lines: bytes, reply: bytes = b"") -> Peer:
    """The same over a lane that is opened for it, to the backend of this number."""
    await client.send(request(b"GET /x", *lines))
    lane = await front.places[number].lane()
    await lane.head()
    await lane.send(reply or answer(b"ok"))
    await client.sees(reply or answer(b"ok"))
    return lane


async def ask_over_another(front: ListenerFixture, client: Peer, lane: Peer, end: str) -> None:
    """One request, answered over a new lane: at once with it, the backend has closed `lane` or sent junk on it."""
    client.sock.setblocking(True)
    lane.sock.setblocking(True)
    client.sock.sendall(request())  # without a turn of the loop between the two
    lane.sock.sendall(b"junk") if end == "junk" else lane.sock.close()
    client.sock.setblocking(False)
    new = await front.places[0].lane()
    await new.head()
    await new.send(answer(b"ok"))
    await client.sees(answer(b"ok"))


async def authenticated(front: ListenerFixture, client: Peer, number: int = 0) -> Peer:
    """A private lane on which a Kerberos token was accepted."""
    return await first(front, client, number, kerberos())


async def connections(home: ListenerFixture) -> list[ClientConnection]:
    await until(lambda: home.listener.connections)
    return [each for each in home.listener.connections if isinstance(each, ClientConnection)]


async def upgraded(home: ListenerFixture, *lines: bytes) -> tuple[Peer, Peer]:
    client = await home.connect()
    await client.send(request(b"GET /x", *UPGRADE, *lines))
    lane = await home.places[0].lane()
    await lane.head()
    await lane.send(head(*UPGRADE, status=b"101 Switching Protocols") + b"hi")
    await client.sees(head(*UPGRADE, status=b"101 Switching Protocols") + b"hi")
    return client, lane
