"""The conversations of a generation with its forker and with its workers, which are of the same version always.

A worker is a fork of the forker, and that is one of the generation, so nothing is said of versions here.
"""

from __future__ import annotations

import socket
from typing import Any

from lbproxy.auth.mint import MintedRecord
from lbproxy.balance.condition import Condition
from lbproxy.balance.member import Member
from lbproxy.control.live_connections import ConnectionQuery
from lbproxy.process.ipc.master_messages import Drain, End, LogFrom, Logged, Reopen, Retire
from lbproxy.process.ipc.message import Message, field
from lbproxy.process.ipc.messages import Conversation
from lbproxy.record import Exemplar, Trace

# --- generation and forker


class Fork(Message):
    """Fork a worker with that index: `Born` answers."""

    kind = "fork"
    index: int


class Born(Message):
    """A worker was forked: the descriptor beside it is the channel to it."""

    kind = "born"
    index: int
    pid: int


class Died(Message):
    """A worker has ended. `status`: its exit status, or the number of the signal that ended it, below zero."""

    kind = "died"
    index: int
    pid: int
    status: int


# --- from the generation to a worker; some are those of the master to a generation. `Retire` goes to the forker too:
# it forks no more


class Members(Message):
    """Which backends left and joined, and how they are now, by POOL/NAME.

    whole: there are no other members than those that joined.
    """

    kind = "members"
    whole: bool
    left: list[str]
    joined: dict[str, Member]
    conditions: dict[str, Condition]


class Address(Message):
    """The backend POOL/NAME with that URL has this address, as sockets take it."""

    kind = "address"
    backend: str
    url: str
    family: socket.AddressFamily
    address: tuple[object, ...]


class TicketSecrets(Message):
    """Seal session tickets with the first of `secrets`, and open those of all of them; in hexadecimal."""

    kind = "ticket_secrets"
    secrets: list[str]

    def __repr__(self) -> str:
        return f"TicketSecrets({len(self.secrets)} of them)"


class Hold(Message):
    """The addresses of these listeners are about to move: new connections wait, open ones finish."""

    kind = "hold"
    listeners: list[str]


class Release(Message):
    """End that. The addresses of the listeners `gone` are not on this host any more: their connections end."""

    kind = "release"
    gone: list[str]


class Minted(Message):
    """Certificates were made for a listener's users. To the generation too."""

    kind = "minted"
    listener: str
    minted_records: list[MintedRecord]


class Accept(Message):
    """Let clients in from now on."""

    kind = "accept"


class FindConnections(Message):
    """An operator asks for client connections: `ConnectionsFound` of the same number answers."""

    kind = "find_connections"
    number: int
    query: ConnectionQuery


class KickConnection(Message):
    """End the client connection with that id, if it is there: `ConnectionsFound` has it as it was, or nothing."""

    kind = "kick_connection"
    number: int
    identity: str


class Count(Message):
    """An operator asks, or metrics are read: `Counted` with this number answers. Numbers grow, from 1."""

    kind = "count"
    number: int


# --- from a worker to the generation


class Up(Message):
    """It could accept."""

    kind = "up"


class Unfit(Message):
    """It cannot serve, and ends. `why` is a sentence for people."""

    kind = "unfit"
    why: str


class Met(Message):
    """A request of a user failed at the backend POOL/NAME with that URL. `reason` is a label of `reasons`."""

    kind = "met"
    backend: str
    url: str
    ejected: bool
    reason: str
    detail: str


class BackendsCounted(Message):
    """What it has counted of those backends whose counts have changed (`control.counts.BackendCounts`), by POOL/NAME.

    gone: those that it told of, and that have left. exemplars: requests to those backends, if there are new ones.
    """

    kind = "backends_counted"
    backends: dict[str, dict[str, Any]]
    gone: list[str]
    exemplars: dict[str, list[Exemplar]] = field(default_factory=dict)


class Counted(Message):
    """The end of a report: everything else that it has counted until now (`status.counters`).

    tls: what it knows of TLS (`status.tls_report`). answers: the number of the last `Count` that it heard before it
    began; 0: it has heard none.
    """

    kind = "tally"
    tally: dict[str, Any]
    tls: dict[str, Any]
    answers: int = 0


class ConnectionsFound(Message):
    """The answer to the question of that number: a `control.live_connections.ConnectionsView`.

    more: another part follows. A part has some of the connections, and counts of 0 but for the last.
    """

    kind = "connections_found"
    number: int
    found: dict[str, Any]
    more: bool = False


class Traced(Message):
    """Requests that were sampled."""

    kind = "traced"
    traces: list[Trace]


class Empty(Message):
    """No client is connected any more."""

    kind = "empty"


ToForker = Fork | Retire
FromForker = Born | Died
ToWorker = (
    Members
    | Address
    | TicketSecrets
    | Minted
    | Accept
    | Hold
    | Release
    | Count
    | FindConnections
    | KickConnection
    | Reopen
    | Retire
    | Drain
    | End
    | LogFrom
)
FromWorker = Up | Unfit | Met | Minted | BackendsCounted | Counted | ConnectionsFound | Traced | Empty | Logged

WITH_FORKER: Conversation[ToForker, FromForker] = Conversation(ToForker, FromForker)
WITH_WORKER: Conversation[ToWorker, FromWorker] = Conversation(ToWorker, FromWorker)
