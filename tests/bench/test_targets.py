from __future__ import annotations

from bench.load.peers import AS_BASE, PEERS, SAFE
from bench.load.scenario import TABLE
from bench.load.targets import TARGETS, standing
from tests.bench.made_up import busy, outcome, result, rows


def test_every_target_is_of_a_scenario_and_of_peers_that_are_measured_in_it() -> None:
    for target in TARGETS:
        row = TABLE[target.scenario]
        safe = {peer.name for peer in SAFE.values()} if row.tokens else set()
        base = {AS_BASE} if row.beside_base else set()
        assert set(target.peers) <= {*PEERS, *safe, *base}, target
        assert ("p50" in target.what or "p99" in target.what) == bool(row.beside), target


def test_the_peer_that_costs_least_counts_and_the_worst_run() -> None:
    good = [result(name, *costs, scenario="login") for name, costs in
            (("lbproxy", (8, 9)), ("nginx-safe", (10, 10)), ("haproxy-safe", (20, 20)))]  # fmt: skip
    bad = [result(name, *costs, scenario="login") for name, costs in
           (("lbproxy", (12, 12)), ("nginx-safe", (20, 20)), ("haproxy-safe", (10, 10)))]  # fmt: skip
    made = standing(outcome(good, bad))
    assert made is not None
    assert rows(made) == [
        ["login", "CPU time", "0.90 of nginx-safe and haproxy-safe", "0.85 (0.80 to 0.90) nginx-safe",
         "1.20 (1.20 to 1.20) haproxy-safe", "missed by 0.30"],
    ]  # fmt: skip


def test_a_ratio_that_is_the_limit_is_met_however_restless_the_machine_was() -> None:
    made = standing(outcome([result("lbproxy", 7, 8, 20), result("nginx", 10, 10, 10)]))
    assert made is not None
    assert rows(made) == [["small", "CPU time", "0.80 of nginx", "0.80 (0.70 to 2.00)", "met"]]


def test_waits_beside_a_load_have_targets() -> None:
    made = standing(outcome([busy("lbproxy", 3, 8), busy("haproxy", 2, 4)]))
    assert made is not None
    assert [row[1:] for row in rows(made)] == [
        ["p50 of new connections", "1.50 of haproxy", "1.50 (1.50 to 1.50)", "met"],
        ["p99 of new connections", "1.50 of haproxy", "2.00 (2.00 to 2.00)", "missed by 0.50"],
    ]


def test_what_was_not_measured_or_has_failed_is_left_out() -> None:
    assert standing(outcome([result("lbproxy", 9, 9), result("haproxy", 9, 9)])) is None
    assert standing(outcome([result("lbproxy", 9, 9, errors=1), result("nginx", 9, 9)])) is None
