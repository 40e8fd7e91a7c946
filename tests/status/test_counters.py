"""Numbers of several processes add up, and leave out what is not counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lbproxy.config import load
from lbproxy.control.access_log import AccessLog
from lbproxy.runtime.data_path import DataPath
from lbproxy.status import counters
from tests.control import sample
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


def test_a_snapshot_is_completed() -> None:
    before: Any = sample.snapshot()
    after: Any = sample.snapshot()
    counters.complete(after, counted())
    listener, old = after["listeners"][0], before["listeners"][0]
    assert listener["requests"] == old["requests"] + 2
    assert listener["connections"] == old["connections"] + 1
    assert len(after["listeners"]) == len(before["listeners"])
    assert after["pools"][0]["backends"][0]["responses"]["2xx"] == 9
    assert after["ends"]["new_reason"] == 1
    assert after["request_seconds"]["count"] == before["request_seconds"]["count"] + 2
    assert after["loop_lag"]["seconds"]["count"] == before["loop_lag"]["seconds"]["count"] + 10
    assert after["loop_lag"]["worst"] == before["loop_lag"]["worst"] == 0.4
    assert after["access_log"]["written"] == before["access_log"]["written"] + 2
    counters.complete(after, {})


async def test_every_number_of_the_snapshot_is_counted(tmp_path: Path) -> None:
    """Who adds a counter to the snapshot adds it to the counters too, or it would fall back at each reload."""
    path = tmp_path / "lb.toml"
    path.write_text(CONFIG.format(port=9, kind="none"))
    config = load(path)
    sockets = listen_all(config)
    access_log = AccessLog("")
    worker = DataPath(config, sockets, access_log.write, False)
    counted = counters.take(worker, access_log)
    worker.stop()
    for sock in sockets.values():
        sock.close()
    whole = sample.snapshot()
    told = {"weight", "ramp", "standby", "source", "ordered", "held_seconds", "since_seconds", "facts"}
    told |= {"unknown_facts", "probe"}
    assert _numbers(whole["listeners"][0]) <= counted["listeners"]["login"].keys()
    assert _numbers(whole["pools"][0]["backends"][0]) - told <= counted["backends"]["connectors/c1"].keys()
    assert {"ends", "request_seconds", "loop_lag", "access_log"} <= counted.keys()


def _numbers(view: Any) -> set[str]:
    return {key for key, value in view.items() if isinstance(value, int | float | dict) and not isinstance(value, bool)}
