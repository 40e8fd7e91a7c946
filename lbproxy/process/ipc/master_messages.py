"""The conversation of the master with a generation, and what it relays from one generation to another.

The two may be of two versions (`messages` says what follows from that).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lbproxy.process.ipc.messages import Conversation, Fields, Message
from lbproxy.process.master.listening_sockets import Owner, Wanted

# --- from a generation to the master


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class State(Message):
    """The answer to `Export`: a `HandoverState`, which the master only passes on."""

    kind = "state"
    state: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Failed(Message):
    """It ends before it serves: why, one line each."""

    kind = "failed"
    problems: list[str]


@dataclass(frozen=True, slots=True)
class Ready(Message):
    """It serves."""

    kind = "ready"


@dataclass(frozen=True, slots=True)
class Reload(Message):
    """An operator wants a reload. `Reloaded` with the same ticket answers."""

    kind = "reload"
    ticket: int


@dataclass(frozen=True, slots=True)
class Relay(Message):
    """For other generations: a message of `BETWEEN_GENERATIONS`, which the master only passes on."""

    kind = "relay"
    message: Fields


@dataclass(frozen=True, slots=True)
class LogFrom(Message):
    """Log events of that level and above. A generation says it to its workers too."""

    kind = "log_from"
    since = 5
    level: str


@dataclass(frozen=True, slots=True)
class Signal(Message):
    """It got a signal that is meant for the master."""

    kind = "signal"
    since = 2
    number: int


@dataclass(frozen=True, slots=True)
class Alive(Message):
    """The answer to `Ping`."""

    kind = "alive"


@dataclass(frozen=True, slots=True)
class Status(Message):
    """How it is, in one line."""

    kind = "status"
    text: str


# --- from the master to a generation


@dataclass(frozen=True, slots=True)
class Start(Message):
    """The greeting: the sockets beside it are those that it needs, in their order.

    state: the `HandoverState` of the generation before it; None if there is none.
    """

    kind = "start"
    state: dict[str, Any] | None
    protocol: int = 1


@dataclass(frozen=True, slots=True)
class Export(Message):
    """The next generation is about to start: `State` answers."""

    kind = "export"


@dataclass(frozen=True, slots=True)
class Ping(Message):
    """`Alive` answers."""

    kind = "ping"


@dataclass(frozen=True, slots=True)
class Retire(Message):
    """Another generation serves: accept no more, and let clients finish."""

    kind = "retire"


@dataclass(frozen=True, slots=True)
class Drain(Message):
    """Accept no more, close idle connections, and let requests finish."""

    kind = "drain"


@dataclass(frozen=True, slots=True)
class End(Message):
    """End now."""

    kind = "end"


@dataclass(frozen=True, slots=True)
class Reopen(Message):
    """Open the access log again."""

    kind = "reopen"


@dataclass(frozen=True, slots=True)
class Relayed(Message):
    """The message of `Relay`, and the number of the generation that sent it."""

    kind = "relayed"
    generation: int
    message: Fields


@dataclass(frozen=True, slots=True)
class Reloaded(Message):
    """How a reload went: what was wrong, nothing if it went well."""

    kind = "reloaded"
    ticket: int
    problems: list[str]


@dataclass(frozen=True, slots=True)
class ReloadFailed(Message):
    """The next generation could not start, at `ended` (seconds since the epoch): this one serves on."""

    kind = "reload_failed"
    since = 2
    problems: list[str]
    ended: float


# --- between generations, through the master


@dataclass(frozen=True, slots=True)
class Tally(Message):
    """What a generation that drains has counted until now (`status.counters`).

    `orders` is the revision of the fleet's orders that all its processes had heard of before they counted; None without
    a fleet.
    """

    kind = "tally"
    tally: dict[str, Any]
    orders: int | None = None


@dataclass(frozen=True, slots=True)
class Gone(Message):
    """A generation has ended. The master says so in its name."""

    kind = "gone"


@dataclass(frozen=True, slots=True)
class Order(Message):
    """An operator has drained a backend, or made it ready. Versions before protocol 3 send it instead of `Operated`."""

    kind = "order"
    pool: str
    backend: str
    draining: bool


@dataclass(frozen=True, slots=True)
class Operated(Message):
    """Operators have said something of a backend, which the next generation has to know too (`operators.Said`).

    `given` are the orders of the fleet for it, with when each was given (`merge.encode`); None without a fleet.
    """

    kind = "operated"
    since = 3
    pool: str
    name: str
    said: dict[str, Any]
    given: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Leave(Message):
    """This host leaves its virtual addresses to others, or takes that back."""

    kind = "leave"
    since = 4
    leaving: bool


FromGeneration = Needs | State | Failed | Ready | Reload | Relay | Signal | Alive | Status | LogFrom
ToGeneration = Start | Export | Ping | Retire | Drain | End | Reopen | Relayed | Reloaded | ReloadFailed
BetweenGenerations = Tally | Gone | Order | Operated | Leave

WITH_GENERATION: Conversation[ToGeneration, FromGeneration] = Conversation(ToGeneration, FromGeneration)
WITH_MASTER: Conversation[FromGeneration, ToGeneration] = WITH_GENERATION.reverse()
BETWEEN_GENERATIONS: Conversation[BetweenGenerations, BetweenGenerations] = Conversation(
    BetweenGenerations, BetweenGenerations
)
