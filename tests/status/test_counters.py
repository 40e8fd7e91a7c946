"""Numbers of several processes add up, and leave out what is not counted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lbproxy.config import load
from lbproxy.control.access_log import AccessLog
from lbproxy.control.counts import (
    AccessLogView,
    BackendCounts,
    ListenerCounts,
    LogLinesView,
    RetryBudgetView,
    TracingView,
    declared,
)
from lbproxy.runtime.data_path import DataPath
from lbproxy.runtime.loop_lag import BOUNDS
from lbproxy.status import counters
from tests.process.generation.test_generation import CONFIG
from tests.process.places import listen_all


def counted(connections: int = 1, requests: int = 2) -> counters.Counters:
    """What another process has counted, also of a listener and a backend that are in no sample."""
    listener = {"connections": connections, "accepted": 3, "requests": requests, "refused": {"not_allowed": 1}}
    backend = {"requests": requests, "active": 1, "idle_lanes": 1, "private_lanes": 0, "responses": {"2xx": requests}}
    return {
        "listeners": {"login": listener, "gone": listener},
        "backends": {"connectors/c1": backend, "connectors/gone": backend},
        "budgets": {"connectors": {"used": 1, "limit": 10}},
        "ends": {"done": requests, "new_reason": 1},
        "request_seconds": {"buckets": {"0.1": 1}, "count": requests, "sum": 0.5},
        "loop_lag": {"seconds": {"buckets": {"0.005": 9}, "count": 10, "sum": 1.0}, "worst": connections / 10},
        "access_log": {"written": requests, "dropped": 0},
        "log_lines": {"written": requests, "dropped": 1},
        "tracing": {"sampled": requests, "exported": 1, "dropped": 0},
    }


def test_totals_have_everything() -> None:
    total = counters.total([{}, counted(), counted(requests=5), {"ends": {"other": 1}}])
    assert total["listeners"]["login"]["requests"] == 7
    assert total["ends"] == {"done": 7, "new_reason": 2, "other": 1}
    assert counters.total([]) == {}


def test_the_worst_of_all_is_the_worst() -> None:
    total = counters.total([counted(connections=1), counted(connections=7), counted(connections=2)])
    assert total["loop_lag"]["worst"] == 0.7
    assert total["loop_lag"]["seconds"]["count"] == 30
    assert counters.past(total)["loop_lag"]["worst"] == 0


def test_what_is_left_on_backends_that_left_is_told_by_their_pool() -> None:
    both = counters.total([{"left_on": {"a/c1": 1, "b/c1": 4}}, {"left_on": {"a/c1": 2, "a/c2": 1}}])
    assert counters.departed(both, "a") == {"c1": 3, "c2": 1}
    assert counters.departed(both, "c") == counters.departed({}, "a") == {}


def test_of_a_process_that_ended_nothing_is_open() -> None:
    ended = counters.past(counted())
    assert ended["listeners"]["login"] == {
        "connections": 0,
        "accepted": 3,
        "requests": 2,
        "refused": {"not_allowed": 1},
    }
    assert (ended["backends"]["connectors/c1"]["active"], ended["backends"]["connectors/c1"]["requests"]) == (0, 2)
    assert counters.past({"left_on": {"connectors/c2": 3}}) == {"left_on": {}}


@pytest.mark.parametrize(
    "name",
    [
        "buckets",
        "tunnels",
        "active",
        "connections",
        "limit",
        "used",
        "worst",
        "left_on",
        "listeners",
        "budgets",
        "ends",
    ],
)
def test_listeners_and_pools_may_be_called_like_numbers(name: str) -> None:
    plain = counted()
    named = {
        **plain,
        "listeners": {name: plain["listeners"]["login"]},
        "budgets": {name: plain["budgets"]["connectors"]},
    }
    twice, ended = counters.total([named, named]), counters.past(named)
    assert twice["listeners"][name] == counters.total([plain, plain])["listeners"]["login"]
    assert twice["budgets"][name] == {"used": 2, "limit": 20}
    assert ended["listeners"][name] == counters.past(plain)["listeners"]["login"]
    assert ended["budgets"][name] == {"used": 0, "limit": 0}
    assert counters.listener_view(twice, name, tls=False)["accepted"] == 6


def test_a_histogram_has_the_buckets_of_the_first() -> None:
    """Those of another version may be others: what it counted above the last one that both have is in the sum."""
    own, old = counted(), counted()
    own["request_seconds"]["buckets"] = {"0.1": 1, "0.5": 2}
    old["request_seconds"]["buckets"] = {"0.1": 4, "0.3": 5}
    assert counters.total([own, old])["request_seconds"]["buckets"] == {"0.1": 5, "0.5": 2}
    assert counters.total([{}, old, own])["request_seconds"]["buckets"] == {"0.1": 5, "0.3": 5}


def test_tls_that_began_with_a_reload_is_counted() -> None:
    before, after = counted(), counted()
    before["listeners"]["login"]["tls_handshakes"] = None
    after["listeners"]["login"]["tls_handshakes"] = {"full": 1, "resumed": 2, "failed": 3}
    for tallies in ([before, after], [after, before]):
        view = counters.listener_view(counters.total(tallies), "login", tls=True)
        assert view["tls_handshakes"] == {"full": 1, "resumed": 2, "failed": 3}
    assert counters.listener_view(counters.total([before, after]), "login", tls=False)["tls_handshakes"] is None


def test_what_was_not_counted_is_zero() -> None:
    view = counters.listener_view(counted(), "login", tls=True)
    assert view == {
        "accepted": 3,
        "accept_pauses": 0,
        "connections": 1,
        "requests": 2,
        "refused": {"not_allowed": 1},
        "ends": {},
        "tls_handshakes": {"full": 0, "resumed": 0, "failed": 0},
    }
    backend = counters.backend_view(counters.of_backend_alone(counted(), "connectors/c1"), tls=False)
    assert (backend["requests"], backend["tls_handshakes"], backend["lanes_opened"]) == (2, None, 0)
    assert backend["responses"] == {"1xx": 0, "2xx": 2, "3xx": 0, "4xx": 0, "5xx": 0}
    assert counters.backend_view(counters.of_backend_alone(counted(), "connectors/none"), tls=True)["requests"] == 0
    assert counters.budget_view({}, "connectors") == {"used": 0, "limit": 0}
    assert counters.access_log_view({}) == {"written": 0, "dropped": 0}
    assert counters.log_lines_view(counted()) == {"written": 2, "dropped": 1}
    assert counters.tracing_view(counted()) == {"sampled": 2, "exported": 1, "dropped": 0}
    assert counters.tracing_view({}) == {"sampled": 0, "exported": 0, "dropped": 0}
    assert counters.lag_view({}) == {"seconds": {"buckets": [], "count": 0, "sum": 0.0}, "worst": 0.0}


async def test_every_number_is_counted(tmp_path: Path) -> None:
    """What is declared and not counted would be shown as 0."""
    path = tmp_path / "lb.toml"
    path.write_text(CONFIG.format(port=9, kind="none"))
    config = load(path)
    sockets = listen_all(config)
    access_log = AccessLog("")
    data_path = DataPath(config, sockets, access_log.write, False)
    counted = json.loads(json.dumps(counters.take(data_path, access_log)))
    decided = counters.take_model(data_path.model)
    data_path.stop()
    for sock in sockets.values():
        sock.close()
    assert counted["listeners"]["login"].keys() == declared(ListenerCounts).keys()
    assert counted["backends"]["connectors/c1"].keys() == declared(BackendCounts).keys()
    assert counted["budgets"]["connectors"].keys() == declared(RetryBudgetView).keys()
    assert counted["access_log"].keys() == declared(AccessLogView).keys()
    assert counted["log_lines"].keys() == decided["log_lines"].keys() == declared(LogLinesView).keys()
    assert counted["tracing"].keys() == declared(TracingView).keys()
    assert counted["loop_lag"]["seconds"]["buckets"].keys() == {str(le) for le in BOUNDS}
    assert decided["backends"] == {"connectors/c1": {"ejections": 0}}
