"""The conversation of the master with a generation, and what it relays from one generation to another.

The two may be of two versions (`messages` says what follows from that).
"""

from __future__ import annotations

from typing import Any

from lbproxy.control.log.logged_event import LoggedEvent
from lbproxy.process.ipc.message import Message, field
from lbproxy.process.ipc.messages import Conversation, Fields, to_fields
from lbproxy.process.master.listening_sockets import Owner, Wanted

# --- from a generation to the master


class Needs(Message):
    """The greeting: the sockets that the configuration needs, and whose Unix sockets become. Once.

    text: what the configuration file held, for a generation that has to start while the file cannot be used.
    freebind: the keys of the places whose address may be one that this host does not have, or not yet.
    log_to: where the master's log lines are to go from now on, as `log.to` says it.
    """

    kind = "needs"
    places: list[Wanted]
    owner: Owner
    protocol: int = 1
    text: str = ""
    freebind: list[str] = field(default_factory=list)
    log_to: str = "stderr"


class State(Message):
    """The answer to `Export`: a `HandoverState`, which the master only passes on."""

    kind = "state"
    state: dict[str, Any]


class Failed(Message):
    """It ends before it serves: why, one line each."""

    kind = "failed"
    problems: list[str]


class Ready(Message):
    """It serves."""

    kind = "ready"


class Reload(Message):
    """An operator wants a reload. `Reloaded` with the same ticket answers."""

    kind = "reload"
    ticket: int


class Relay(Message):
    """For other generations: a message of `BETWEEN_GENERATIONS`, which the master only passes on."""

    kind = "relay"
    message: Fields


class LogFrom(Message):
    """Log events of that level and above. A generation says it to its workers too."""

    kind = "log_from"
    since = 5
    level: str


class Lifeline(Message):
    """It forks workers from now on: the descriptor beside it is a pipe, whose other end they all have open. Once.

    That tells the master when the last of them has ended, though the generation was killed.
    """

    kind = "lifeline"
    since = 6


class Signal(Message):
    """It got a signal that is meant for the master."""

    kind = "signal"
    since = 2
    number: int


class Alive(Message):
    """The answer to `Ping`."""

    kind = "alive"


class Status(Message):
    """How it is, in one line."""

    kind = "status"
    text: str


# --- from the master to a generation


class Start(Message):
    """The greeting: the sockets beside it are those that it needs, in their order.

    state: the `HandoverState` of the generation before it; None if there is none.
    """

    kind = "start"
    state: dict[str, Any] | None
    protocol: int = 1


class Export(Message):
    """The next generation is about to start: `State` answers."""

    kind = "export"


class Ping(Message):
    """`Alive` answers."""

    kind = "ping"


class Retire(Message):
    """Another generation serves: accept no more, and let clients finish."""

    kind = "retire"


class Drain(Message):
    """Accept no more, close idle connections, and let requests finish."""

    kind = "drain"


class End(Message):
    """End now."""

    kind = "end"


class Reopen(Message):
    """Open the access log again."""

    kind = "reopen"


class Relayed(Message):
    """The message of `Relay`, and the number of the generation that sent it."""

    kind = "relayed"
    generation: int
    message: Fields


class Reloaded(Message):
    """How a reload went: what was wrong, nothing if it went well."""

    kind = "reloaded"
    ticket: int
    problems: list[str]


class ReloadFailed(Message):
    """The next generation could not start, at `ended` (seconds since the epoch): this one serves on."""

    kind = "reload_failed"
    since = 2
    problems: list[str]
    ended: float


class Logged(Message):
    """What the master, a worker, or a generation that drains has logged. A generation shows it with its own events."""

    kind = "logged"
    since = 6
    events: list[LoggedEvent]


# --- between generations, through the master


class Tally(Message):
    """What a generation that drains has counted until now (`status.counters`).

    `orders` is the revision of the fleet's orders that all its processes had heard of before they counted; None without
    a fleet.
    """

    kind = "tally"
    tally: dict[str, Any]
    orders: int | None = None


class Gone(Message):
    """A generation has ended, with all its processes. The master says so in its name."""

    kind = "gone"


class Orphaned(Message):
    """A generation was killed, and its workers go on: they finish what they have. The master says so in its name.

    `Gone` follows when the last of them has ended.
    """

    kind = "orphaned"
    since = 6


class Order(Message):
    """An operator has drained a backend, or made it ready. Versions before protocol 3 send it instead of `Operated`."""

    kind = "order"
    pool: str
    backend: str
    draining: bool


class Operated(Message):
    """Operators have said something of a backend, which all generations have to know (`operators.Said`).

    `given` are the orders of the fleet for it, with when each was given (`merge.encode`); None without a fleet.
    """

    kind = "operated"
    since = 3
    pool: str
    name: str
    said: dict[str, Any]
    given: dict[str, Any] | None = None


class Leave(Message):
    """This host leaves its virtual addresses to others, or takes that back."""

    kind = "leave"
    since = 4
    leaving: bool


GONE, ORPHANED = to_fields(Gone()), to_fields(Orphaned())
"""What the others are told in the name of a generation that has ended, and of one whose workers go on."""

FromGeneration = Needs | State | Failed | Ready | Reload | Relay | Signal | Alive | Status | LogFrom | Lifeline
ToGeneration = Start | Export | Ping | Retire | Drain | End | Reopen | Relayed | Reloaded | ReloadFailed | Logged
BetweenGenerations = Tally | Gone | Orphaned | Order | Operated | Leave | Logged

WITH_GENERATION: Conversation[ToGeneration, FromGeneration] = Conversation(ToGeneration, FromGeneration)
WITH_MASTER: Conversation[FromGeneration, ToGeneration] = WITH_GENERATION.reverse()
BETWEEN_GENERATIONS: Conversation[BetweenGenerations, BetweenGenerations] = Conversation(
    BetweenGenerations, BetweenGenerations
)
