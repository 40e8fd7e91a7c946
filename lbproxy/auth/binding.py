"""The rule of lanes as a state table: which lane a client connection's next request may use.

One `Binding` a client connection. It knows nothing of sockets, lanes or backends: the data path keeps "the lane that is
followed" and the private lane a backend, and does what a Route or an Effect says. docs/lanes.md has the rules in words,
by number, and the tables below as `render` writes them; a test holds that page to the tables.

The order of calls, one request at a time. For a request that will be forwarded, `request`. Then, if its lane is private
(after SPREAD and FOLLOW) or the response has a challenge, `response` with the final response's head. If a request that
was routed SPREAD or FOLLOW ends without such a head, or if the lane that is followed dies, `lane_lost`, once. Any other
order is a fault of the caller and raises RuntimeError, from one place.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import TypeVar

from lbproxy.auth.spnego import Challenge, Credential


class State(Enum):
    """What a client connection has come to. While it is OPEN and no credential or challenge is seen, no call is due."""

    __hash__ = object.__hash__  # Enum's own is Python, and the tables are asked twice for each request

    OPEN = "open"  # owns no private lane
    OFFERED = "offered"  # owns private lanes that carry no identity yet; follows none
    TRYING = "trying"  # a Kerberos token is on its way; nothing is followed until it is answered
    LEANING = "leaning"  # an unknown credential is on its way
    BOUND = "bound"  # follows the lane authenticated last; no exchange is in progress
    LEG = "leg"  # in the middle of an exchange of several legs, on the lane that is followed
    NTLM = "ntlm"  # follows one lane for life
    CLOSED = "closed"  # the client connection has to end


class Route(Enum):
    """Where a request goes."""

    SHARED = "shared"  # the next backend in rotation, over a shared lane
    SPREAD = "spread"  # the next in rotation, over this client's private lane to it, opened if there is none.
    # Nothing is followed from here on, until an Effect says so.
    FOLLOW = "follow"  # the lane that is followed


class Effect(Enum):
    """What a response or a loss does to the lanes. A lane whose response is told here is private from then on."""

    KEEP = "keep"  # the lane that is followed, or that none is, stays as it was
    FOLLOW = "follow"  # the lane of this response is the one that is followed
    FORGET = "forget"  # none is followed, and every private lane of this client closes (after this response)
    CLOSE = "close"  # the client connection closes, and so does every lane of it


class Event(Enum):
    """What may happen to a request that was routed, or to the lane that is followed."""

    __hash__ = object.__hash__  # as of State
    ANSWERED = "answered"  # by anything but a 401; a token on it is the server's proof and changes nothing
    REFUSED = "401"  # without a token: an offer, or a refusal
    NEXT_LEG = "401 with a token"
    LOST = "lane lost"


_Key = TypeVar("_Key", Credential, Event)
_Outcome = TypeVar("_Outcome", Route, Effect)
_Table = Mapping[State, Mapping[_Key, tuple[State, _Outcome, int]]]

_OPEN, _OFFERED, _TRYING, _LEANING = State.OPEN, State.OFFERED, State.TRYING, State.LEANING
_BOUND, _LEG, _NTLM, _CLOSED = State.BOUND, State.LEG, State.NTLM, State.CLOSED
_SHARED, _SPREAD, _FOLLOW = Route.SHARED, Route.SPREAD, Route.FOLLOW

# State -> what the request carries -> next state, route, the number of the rule
REQUESTS: _Table[Credential, Route] = {
    _OPEN: {
        Credential.NONE: (_OPEN, _SHARED, 1),
        Credential.PER_REQUEST: (_OPEN, _SHARED, 1),
        Credential.KERBEROS: (_TRYING, _SPREAD, 4),
        Credential.NTLM: (_NTLM, _SPREAD, 5),
        Credential.CONTINUATION: (_LEG, _SPREAD, 5),
        Credential.UNKNOWN: (_LEANING, _SPREAD, 2),
    },
    _OFFERED: {
        # Any backend will do (rule 1), but a shared lane would be lost to the next offer: its own are as good.
        Credential.NONE: (_OFFERED, _SPREAD, 1),
        Credential.PER_REQUEST: (_OFFERED, _SHARED, 1),
        Credential.KERBEROS: (_TRYING, _SPREAD, 4),
        Credential.NTLM: (_NTLM, _SPREAD, 5),
        Credential.CONTINUATION: (_LEG, _SPREAD, 5),
        Credential.UNKNOWN: (_LEANING, _SPREAD, 2),
    },
    _TRYING: {},
    _LEANING: {},
    _BOUND: {
        Credential.NONE: (_BOUND, _FOLLOW, 4),
        Credential.PER_REQUEST: (_BOUND, _SHARED, 1),
        Credential.KERBEROS: (_TRYING, _SPREAD, 4),
        Credential.NTLM: (_NTLM, _FOLLOW, 5),
        Credential.CONTINUATION: (_LEG, _FOLLOW, 5),
        Credential.UNKNOWN: (_LEANING, _FOLLOW, 1),
    },
    _LEG: dict.fromkeys(Credential, (_LEG, _FOLLOW, 5)) | {Credential.NTLM: (_NTLM, _FOLLOW, 5)},
    _NTLM: dict.fromkeys(Credential, (_NTLM, _FOLLOW, 5)),
    _CLOSED: {},
}

# State -> event -> next state, effect, the number of the rule
EVENTS: _Table[Event, Effect] = {
    _OPEN: {
        Event.ANSWERED: (_OFFERED, Effect.KEEP, 2),
        Event.REFUSED: (_OFFERED, Effect.KEEP, 2),
        Event.NEXT_LEG: (_LEG, Effect.FOLLOW, 5),
    },
    _OFFERED: {
        Event.ANSWERED: (_OFFERED, Effect.KEEP, 2),
        Event.REFUSED: (_OFFERED, Effect.KEEP, 2),
        Event.NEXT_LEG: (_LEG, Effect.FOLLOW, 5),
        Event.LOST: (_OPEN, Effect.FORGET, 1),
    },
    _TRYING: {
        Event.ANSWERED: (_BOUND, Effect.FOLLOW, 4),
        # Refused: nothing was authenticated, so there is nothing to follow, neither here nor on the lane from before:
        # the user of the new token must not be answered as the user of the old one.
        Event.REFUSED: (_OPEN, Effect.FORGET, 4),
        Event.NEXT_LEG: (_LEG, Effect.FOLLOW, 5),
        Event.LOST: (_OPEN, Effect.FORGET, 6),
    },
    _LEANING: {
        # Whatever the answer: an unknown scheme may have legs that lbproxy cannot see (SCRAM's are 401s, RFC 7804).
        Event.ANSWERED: (_BOUND, Effect.FOLLOW, 1),
        Event.REFUSED: (_BOUND, Effect.FOLLOW, 1),
        Event.NEXT_LEG: (_LEG, Effect.FOLLOW, 5),
        Event.LOST: (_OPEN, Effect.FORGET, 6),
    },
    _BOUND: {
        # Also for a response on a shared lane, to a request with a credential of its own: it says nothing of the lane
        # that is followed. Nor does a 401 to a request without one: a page may ask for a token each time.
        Event.ANSWERED: (_BOUND, Effect.KEEP, 4),
        Event.REFUSED: (_BOUND, Effect.KEEP, 4),
        Event.NEXT_LEG: (_LEG, Effect.FOLLOW, 5),
        Event.LOST: (_OPEN, Effect.FORGET, 4),
    },
    _LEG: {
        Event.ANSWERED: (_BOUND, Effect.FOLLOW, 5),
        Event.REFUSED: (_OPEN, Effect.FORGET, 5),
        Event.NEXT_LEG: (_LEG, Effect.FOLLOW, 5),
        Event.LOST: (_CLOSED, Effect.CLOSE, 5),
    },
    _NTLM: {
        Event.ANSWERED: (_NTLM, Effect.FOLLOW, 5),
        Event.REFUSED: (_NTLM, Effect.FOLLOW, 5),
        Event.NEXT_LEG: (_NTLM, Effect.FOLLOW, 5),
        Event.LOST: (_CLOSED, Effect.CLOSE, 5),
    },
    _CLOSED: {},
}


class Binding:
    """One client connection's place in the tables. `state` is read freely and written here only."""

    __slots__ = ("state",)

    def __init__(self) -> None:
        self.state = State.OPEN

    def request(self, credential: Credential) -> Route:
        """Where a request with this credential goes."""
        return self._move(REQUESTS, credential)

    def response(self, status: int, challenge: Challenge) -> Effect:
        """What the final response's head does to the lanes; `status` is its code."""
        if status != 401:
            return self._move(EVENTS, Event.ANSWERED)
        return self._move(EVENTS, Event.NEXT_LEG if challenge is Challenge.TOKEN else Event.REFUSED)

    def lane_lost(self) -> bool:
        """Whether the client connection has to be closed too; if not, the effect is FORGET."""
        return self._move(EVENTS, Event.LOST) is Effect.CLOSE

    @property
    def ends_with_lane(self) -> bool:
        """Whether `lane_lost` would be True now."""
        move = EVENTS[self.state].get(Event.LOST)
        return move is not None and move[1] is Effect.CLOSE

    def _move(self, table: _Table[_Key, _Outcome], key: _Key) -> _Outcome:
        move = table[self.state].get(key)
        if move is None:
            raise RuntimeError(f"{self!r}: {key} is out of order")
        self.state, outcome, _ = move
        return outcome

    def __repr__(self) -> str:
        return f"<binding {self.state.value}>"


def render() -> str:
    """Both tables, and a Mermaid diagram of them, as docs/lanes.md has them."""
    return "\n".join([*_markdown(REQUESTS, Credential), "", *_markdown(EVENTS, Event), "", *_mermaid()])


def _markdown(table: _Table[_Key, _Outcome], keys: type[_Key]) -> list[str]:
    """A row for each state in which anything may come, a column for each key."""
    lines = ["| state | " + " | ".join(key.value for key in keys) + " |", "| --- |" + " --- |" * len(keys)]
    for state, row in table.items():
        if row:
            cells = [_cell(state, row[key]) if key in row else "-" for key in keys]
            lines.append(f"| **{state.value}** | " + " | ".join(cells) + " |")
    return lines


def _cell(state: State, move: tuple[State, _Outcome, int]) -> str:
    to, outcome, rule = move
    return f"{outcome.value}{'' if to is state else f' → **{to.value}**'} ({rule})"


def _mermaid() -> list[str]:
    """An arrow for each pair of states, with all that leads from one to the other."""
    arrows: dict[tuple[State, State], list[str]] = {}
    for table in (REQUESTS, EVENTS):
        for state, row in table.items():
            for key, (to, _, _) in row.items():
                if to is not state:
                    arrows.setdefault((state, to), []).append(key.value)
    lines = [f"    {state.value} --> {to.value}: {', '.join(keys)}" for (state, to), keys in arrows.items()]
    return ["```mermaid", "stateDiagram-v2", "    [*] --> open", *lines, "    closed --> [*]", "```"]
