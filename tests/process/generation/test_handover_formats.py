"""The handover state of other versions."""

from __future__ import annotations

from typing import Any

from lbproxy.balance.backend import Backend
from lbproxy.balance.condition import Condition
from lbproxy.balance.health import Rules
from lbproxy.balance.pool import Pool
from lbproxy.process.generation.handover import FORMAT, operate
from lbproxy.process.generation.handover_formats import understood

CONDITION = ["down", 7.5, False, "", "connect_refused", "refused", 9.5, 1.5, 2, 3, 8.5]


def first(**conditions: list[Any]) -> dict[str, Any]:
    """A state of the first format, with those backends in a pool `p`."""
    return {
        "format": 1,
        "backends": {f"p/{name}": {"url": f"http://{name}", "condition": one} for name, one in conditions.items()},
        "guards": {"p": {"updating": False, "readings": {}}},
        "minted": {},
        "secret": {"value": "00", "made": 1.0},
        "accounts": {"ended": {}, "draining": {}},
        "started": 5.0,
    }


def test_a_backend_is_as_it_was() -> None:
    state = understood(first(a=CONDITION))
    assert state is not None
    condition = Condition(*state["backends"]["p/a"]["condition"])
    assert condition == Condition(
        "down", 7.5, False, "", "connect_refused", "refused", 9.5, 1.5, 2, 3, weight=1, standby=False, slow_since=8.5
    )
    assert state["backends"]["p/a"]["url"] == "http://a"


def test_a_drain_is_an_order_on_the_name() -> None:
    """Also of a backend whose URL is another one now."""
    drained = [*CONDITION[:2], True, *CONDITION[3:]]
    state = understood(first(a=CONDITION, b=drained))
    assert state is not None
    pool = Pool("p", [Backend(name, f"http://{name}.moved") for name in "ab"], Rules())
    assert operate(state["operated"], {"p": pool}) == {"p": ()}
    assert [backend.draining for backend in pool.backends] == [False, True]


def test_the_rest_is_as_it_was() -> None:
    left = first()
    state = understood(left)
    assert state is not None
    assert state["format"] == FORMAT
    assert {name: state[name] for name in left if name != "format"} == {  # type: ignore[literal-required]
        name: value for name, value in left.items() if name != "format"
    }
    assert state["kerberos"] == {"sign_ins": {}, "pools": {}}
    assert state["discovered"] == {}


def test_a_state_of_this_version_is_what_it_is() -> None:
    left = {"format": FORMAT, "backends": {}}
    assert understood(left) is left
    assert understood(None) is None


def test_no_other_format_is_guessed_at() -> None:
    for number in (0, FORMAT + 1, None):
        assert understood({"format": number, "backends": "in another form"}) is None
    assert understood({}) is None
