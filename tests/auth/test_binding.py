from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from lbproxy.auth.binding import EVENTS, REQUESTS, Binding, Effect, Event, Route, State, render
from lbproxy.auth.spnego import Challenge, Credential

NONE, PER_REQUEST, KERBEROS = Credential.NONE, Credential.PER_REQUEST, Credential.KERBEROS
NTLM, CONTINUATION, UNKNOWN = Credential.NTLM, Credential.CONTINUATION, Credential.UNKNOWN
SHARED, SPREAD, FOLLOW = Route.SHARED, Route.SPREAD, Route.FOLLOW
ANSWERED, REFUSED, NEXT_LEG, LOST = Event

Step = Credential | Event
Outcome = Route | Effect | bool

RESPONSES = {ANSWERED: (200, Challenge.TOKEN), REFUSED: (401, Challenge.OFFER), NEXT_LEG: (401, Challenge.TOKEN)}


def take(binding: Binding, step: Step) -> Outcome:
    if isinstance(step, Credential):
        return binding.request(step)
    return binding.lane_lost() if step is LOST else binding.response(*RESPONSES[step])


def binding_in(state: State) -> Binding:
    """A binding that came to `state` the usual way."""
    histories: dict[State, list[Step]] = {
        State.OPEN: [],
        State.OFFERED: [REFUSED],
        State.TRYING: [KERBEROS],
        State.LEANING: [UNKNOWN],
        State.BOUND: [KERBEROS, ANSWERED],
        State.LEG: [CONTINUATION, NEXT_LEG],
        State.NTLM: [NTLM, NEXT_LEG],
        State.CLOSED: [NTLM, LOST],
    }
    binding = Binding()
    for step in histories[state]:
        take(binding, step)
    assert binding.state is state
    return binding


# --- every row, written from the rules a second time: what comes, what follows, and where that leads

ROWS = """
    open     none              shared   open
    open     per-request       shared   open
    open     kerberos          spread   trying
    open     ntlm              spread   ntlm
    open     continuation      spread   leg
    open     unknown           spread   leaning
    open     answered          keep     offered
    open     401               keep     offered
    open     401_with_a_token  follow   leg
    offered  none              spread   offered
    offered  per-request       shared   offered
    offered  kerberos          spread   trying
    offered  ntlm              spread   ntlm
    offered  continuation      spread   leg
    offered  unknown           spread   leaning
    offered  answered          keep     offered
    offered  401               keep     offered
    offered  401_with_a_token  follow   leg
    offered  lane_lost         forget   open
    trying   answered          follow   bound
    trying   401               forget   open
    trying   401_with_a_token  follow   leg
    trying   lane_lost         forget   open
    leaning  answered          follow   bound
    leaning  401               follow   bound
    leaning  401_with_a_token  follow   leg
    leaning  lane_lost         forget   open
    bound    none              follow   bound
    bound    per-request       shared   bound
    bound    kerberos          spread   trying
    bound    ntlm              follow   ntlm
    bound    continuation      follow   leg
    bound    unknown           follow   leaning
    bound    answered          keep     bound
    bound    401               keep     bound
    bound    401_with_a_token  follow   leg
    bound    lane_lost         forget   open
    leg      none              follow   leg
    leg      per-request       follow   leg
    leg      kerberos          follow   leg
    leg      ntlm              follow   ntlm
    leg      continuation      follow   leg
    leg      unknown           follow   leg
    leg      answered          follow   bound
    leg      401               forget   open
    leg      401_with_a_token  follow   leg
    leg      lane_lost         close    closed
    ntlm     none              follow   ntlm
    ntlm     per-request       follow   ntlm
    ntlm     kerberos          follow   ntlm
    ntlm     ntlm              follow   ntlm
    ntlm     continuation      follow   ntlm
    ntlm     unknown           follow   ntlm
    ntlm     answered          follow   ntlm
    ntlm     401               follow   ntlm
    ntlm     401_with_a_token  follow   ntlm
    ntlm     lane_lost         close    closed
"""

STEPS: dict[str, Step] = {step.value.replace(" ", "_"): step for step in [*Credential, *Event]}
EXPECTED = {(State(row[0]), STEPS[row[1]]): (row[2], State(row[3])) for row in map(str.split, ROWS.strip().split("\n"))}


@pytest.mark.parametrize(("state", "step"), EXPECTED, ids=lambda value: value.value)
def test_a_row(state: State, step: Step) -> None:
    outcome, to = EXPECTED[state, step]
    binding = binding_in(state)
    found = take(binding, step)
    assert (found if isinstance(found, bool) else found.value) == (outcome == "close" if step is LOST else outcome)
    assert binding.state is to


def test_every_other_move_is_out_of_order() -> None:
    for state in State:
        for step in STEPS.values():
            if (state, step) not in EXPECTED:
                binding = binding_in(state)
                with pytest.raises(RuntimeError, match="out of order"):
                    take(binding, step)
                assert binding.state is state


def test_every_row_names_a_rule_of_the_page() -> None:
    rules = {rule for table in (REQUESTS, EVENTS) for row in table.values() for _, _, rule in row.values()}
    assert rules == {1, 2, 4, 5, 6}


@pytest.mark.parametrize(
    ("status", "challenge", "event"),
    [
        (200, Challenge.NONE, ANSWERED),
        (200, Challenge.OFFER, ANSWERED),
        (200, Challenge.TOKEN, ANSWERED),
        (302, Challenge.NONE, ANSWERED),
        (403, Challenge.NONE, ANSWERED),
        (500, Challenge.TOKEN, ANSWERED),
        (401, Challenge.NONE, REFUSED),
        (401, Challenge.OFFER, REFUSED),
        (401, Challenge.TOKEN, NEXT_LEG),
    ],
)
def test_a_response_is_one_of_three_events(status: int, challenge: Challenge, event: Event) -> None:
    binding, expected = binding_in(State.TRYING), binding_in(State.TRYING)
    assert binding.response(status, challenge) is take(expected, event)
    assert binding.state is expected.state


# --- dialogues

DIALOGUES: dict[str, list[tuple[Step, Outcome]]] = {
    "nobody ever authenticates": [(NONE, SHARED), (PER_REQUEST, SHARED), (NONE, SHARED)],
    "Kerberos on a server that binds it to the connection": [
        (NONE, SHARED),
        (REFUSED, Effect.KEEP),
        (KERBEROS, SPREAD),
        (ANSWERED, Effect.FOLLOW),
        (NONE, FOLLOW),
        (ANSWERED, Effect.KEEP),
        (NONE, FOLLOW),
    ],
    "Kerberos on a server that asks each time": [
        (KERBEROS, SPREAD),
        (ANSWERED, Effect.FOLLOW),
        (NONE, FOLLOW),
        (REFUSED, Effect.KEEP),
        (KERBEROS, SPREAD),
        (ANSWERED, Effect.FOLLOW),
    ],
    "a refused token is followed nowhere": [
        (KERBEROS, SPREAD),
        (ANSWERED, Effect.FOLLOW),
        (KERBEROS, SPREAD),
        (REFUSED, Effect.FORGET),
        (NONE, SHARED),
    ],
    "Kerberos is refused, and NTLM instead is not": [
        (KERBEROS, SPREAD),
        (REFUSED, Effect.FORGET),
        (NTLM, SPREAD),
        (NEXT_LEG, Effect.FOLLOW),
        (NTLM, FOLLOW),
        (ANSWERED, Effect.FOLLOW),
        (NONE, FOLLOW),
        (PER_REQUEST, FOLLOW),
        (KERBEROS, FOLLOW),
        (LOST, True),
    ],
    "Kerberos in three legs": [
        (UNKNOWN, SPREAD),
        (NEXT_LEG, Effect.FOLLOW),
        (CONTINUATION, FOLLOW),
        (ANSWERED, Effect.FOLLOW),
        (NONE, FOLLOW),
        (KERBEROS, SPREAD),
    ],
    "the lane dies in mid-exchange": [(CONTINUATION, SPREAD), (NEXT_LEG, Effect.FOLLOW), (LOST, True)],
    "the lane dies under the token": [(KERBEROS, SPREAD), (LOST, False), (NONE, SHARED)],
    "the lane dies when all is done": [(KERBEROS, SPREAD), (ANSWERED, Effect.FOLLOW), (LOST, False), (NONE, SHARED)],
    "a scheme nobody knows, with legs of its own": [
        (UNKNOWN, SPREAD),
        (REFUSED, Effect.FOLLOW),
        (UNKNOWN, FOLLOW),
        (ANSWERED, Effect.FOLLOW),
        (NONE, FOLLOW),
    ],
    "a password beside an authenticated lane does not move it": [
        (KERBEROS, SPREAD),
        (ANSWERED, Effect.FOLLOW),
        (PER_REQUEST, SHARED),
        (REFUSED, Effect.KEEP),
        (NONE, FOLLOW),
    ],
}


@pytest.mark.parametrize("name", DIALOGUES)
def test_a_dialogue(name: str) -> None:
    binding = Binding()
    assert [(step, take(binding, step)) for step, _ in DIALOGUES[name]] == DIALOGUES[name]


# --- any history


class AnyHistory(RuleBasedStateMachine):
    """A data path that does what it is told, with numbers for lanes, against what the rules promise."""

    def __init__(self) -> None:
        super().__init__()
        self.binding = Binding()
        self.backends = 3
        self.turn = 0
        self.lanes = 0
        self.private: dict[int, int] = {}  # backend -> lane
        self.identity: set[int] = set()  # lanes that carried a connection token
        self.followed: int | None = None
        self.sent: tuple[Route, Credential, int] | None = None  # what waits for its response

    def open_lane(self) -> int:
        self.lanes += 1
        return self.lanes

    def spread(self) -> int:
        self.turn = (self.turn + 1) % self.backends
        return self.private.setdefault(self.turn, self.open_lane())

    @precondition(lambda self: self.sent is None)
    @rule(credential=st.sampled_from(Credential))
    def request(self, credential: Credential) -> None:
        leans = credential in (NONE, NTLM, CONTINUATION, UNKNOWN)
        route = self.binding.request(credential)
        if leans and self.followed is not None:
            assert route is FOLLOW
        if route is FOLLOW:
            assert self.followed is not None
            lane = self.followed
        elif route is SPREAD:
            lane, self.followed = self.spread(), None
        else:
            lane = self.open_lane()
        if credential.is_connection_token:
            assert route is not SHARED
            self.identity.add(lane)
        elif lane in self.identity:
            assert route is FOLLOW
        self.sent = (route, credential, lane)

    @precondition(lambda self: self.sent is not None)
    @rule(status=st.sampled_from([200, 302, 401, 403, 500]), challenge=st.sampled_from(Challenge))
    def response(self, status: int, challenge: Challenge) -> None:
        assert self.sent is not None
        (route, credential, lane), self.sent = self.sent, None
        if route is SHARED and challenge is Challenge.NONE:
            return
        before = self.followed
        effect = self.binding.response(status, challenge)
        assert effect is not Effect.CLOSE
        if effect is Effect.FOLLOW:
            self.followed = lane
        elif effect is Effect.FORGET:
            self.forget()
        elif route is SHARED:
            self.private.setdefault(-lane, lane)
        if (status, challenge) == (401, Challenge.TOKEN):
            assert self.followed == lane
        if credential is PER_REQUEST and route is SHARED and challenge is Challenge.OFFER:
            assert self.followed == before

    @precondition(lambda self: self.followed is not None or (self.sent is not None and self.sent[0] is not SHARED))
    @rule()
    def lane_lost(self) -> None:
        before = self.binding.state
        expected = self.binding.ends_with_lane
        closes = self.binding.lane_lost()
        assert closes == expected == (before in (State.LEG, State.NTLM))
        self.forget()
        if closes:
            assert self.binding.state is State.CLOSED
            self.binding, self.sent = Binding(), None  # the client connects again
        elif self.sent is not None and self.sent[0] is not SHARED:
            self.sent = None

    def forget(self) -> None:
        self.followed = None
        self.private.clear()


TestAnyHistory = AnyHistory.TestCase
TestAnyHistory.settings = settings(stateful_step_count=40)


def test_nothing_can_be_lost_where_nothing_is_leant_on() -> None:
    assert not binding_in(State.OPEN).ends_with_lane
    assert not binding_in(State.CLOSED).ends_with_lane


# --- the page


def test_the_page_has_the_tables() -> None:
    page = Path(__file__).parents[2] / "docs" / "lanes.md"
    assert f"<!-- tables -->\n\n{render()}\n\n<!-- end of tables -->" in page.read_text()


def test_its_repr_is_fit_for_a_log_line() -> None:
    assert repr(binding_in(State.LEG)) == "<binding leg>"
