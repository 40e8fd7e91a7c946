"""What `lbproxy status --watch` shows where there is little room."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from rich.console import Console

from lbproxy.cli.compact import compact
from lbproxy.cli.trend import Trend
from lbproxy.control.snapshot import PoolView, Snapshot
from tests.control.sample import backend, dead_backend, discovered_pool, kerberos_pool, pool, snapshot


def shown(view: Snapshot, width: int = 80, height: int = 24) -> list[str]:
    """Its lines, as a terminal of that size shows them."""
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True, color_system=None)
    console.print(compact(view, height))
    assert isinstance(console.file, io.StringIO)
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    return lines


def with_pools(*pools: PoolView, **changes: Any) -> Snapshot:
    return snapshot() | {"pools": list(pools), **changes}  # type: ignore[return-value]


def healthy(name: str, count: int) -> PoolView:
    return pool(name, *(backend(f"{name}{number}") for number in range(1, count + 1)))


def test_every_backend_has_a_line() -> None:
    assert shown(snapshot()) == [
        "https://login.corp.example: serving, lbproxy 0.1.0, pid 4711, up 2h 5m",
        "listener login, 0.0.0.0:443, http, tls: 12 open, 345 accepted, 678 requests, 9 …",
        "pool connectors: 1 of 3 in rotation",
        "  backend  state   since  share  active  errors  5xx    p50     p99",
        "  c1       up     3m 20s  50.0%       1       2  10%  12 ms  800 ms",
        "  c2       down      12s  50.0%       1       2  10%  12 ms  800 ms  the backen…",
        "  c3       new    3m 20s   0.0%       1       2  10%  12 ms  800 ms",
        "  c2: the backend refused the connection: connection refused",
    ]


def test_two_pools_of_a_login_fit_a_small_terminal() -> None:
    """As it comes: a form sign-in and connections that are passed through, over six connectors."""
    lines = shown(with_pools(healthy("web", 6), healthy("raw", 6)))
    assert [line for line in lines if line.startswith("pool")] == [
        "pool web: 6 of 6 in rotation",
        "pool raw: 6 of 6 in rotation",
    ]
    assert sum(line.startswith(("  web", "  raw")) for line in lines) == 12


def test_healthy_backends_share_a_line_when_there_is_less_room() -> None:
    many = pool("web", *(backend(f"c{number}") for number in range(30)), dead_backend("c30"))
    lines = shown(with_pools(many, healthy("raw", 3)))
    assert [line.split("  the")[0] for line in lines[2:]] == [
        "pool web: 30 of 31 in rotation",
        "  backend  state  since  share  active  errors  5xx    p50     p99",
        "  c30      down     12s   3.2%       1       2  10%  12 ms  800 ms",
        "  30 more healthy",
        "pool raw: 3 of 3 in rotation",
        "  3 healthy",
    ]


def test_then_a_pool_is_one_line() -> None:
    pools = [pool(f"p{number}", backend("c1"), dead_backend("c2")) for number in range(20)]
    lines = shown(with_pools(*pools), width=100)
    assert lines[1] == "all listeners: 12 open, 345 accepted, 678 requests, 9 refused"
    assert lines[2] == "pool p0: 1 of 2 in rotation; c2 down (the backend refused the connection: connection refused)"
    assert [line.partition(":")[0] for line in lines[2:]] == [f"pool p{number}" for number in range(20)]


def test_then_healthy_pools_share_one() -> None:
    pools = [healthy(f"p{number}", 2) for number in range(40)]
    pools[25] = pool("p25", dead_backend("c1"), dead_backend("c2"))
    lines = shown(with_pools(*pools))
    assert lines[2].startswith("pool p25: 0 of 2 in rotation; c1 down (")
    assert lines[3].startswith("39 pools with every backend healthy: p0, p1,")
    assert len(lines) == 4


def test_what_does_not_fit_at_all_is_counted() -> None:
    lines = shown(with_pools(*(pool(f"p{number}", dead_backend("c1")) for number in range(40))))
    assert (len(lines), lines[-1]) == (24, "... 19 more lines; lbproxy status --wide shows them")


def test_a_failed_reload_and_tickets_that_fail_are_seen() -> None:
    reload = {"ended": 1795246810.25, "ok": False, "problems": ["lb.toml: x: missing", "lb.toml: y: missing"]}
    configuration = snapshot()["configuration"] | {"last_reload": reload}
    lines = shown(with_pools(kerberos_pool("k"), configuration=configuration), width=120)
    assert lines[1] == (
        "the last reload, at 2026-11-21T07:40:10.250Z, failed: lb.toml: x: missing; lb.toml: y: missing"
    )
    assert lines[3] == "pool k: 1 of 2 in rotation; kerberos, for 1m 3s: no KDC of the realm answers"


@pytest.mark.parametrize("height", [3, 7, 24])
def test_what_a_backend_says_cannot_steer_the_terminal(height: int) -> None:
    hostile = dead_backend("c1") | {"detail": "[red]\x1b[2Jgone"}
    lines = shown(with_pools(pool("web", hostile)), width=200, height=height)
    assert "\x1b" not in "".join(lines)
    assert any("[red]\\x1b[2Jgone" in line for line in lines)


def test_a_standby_that_waits_is_healthy() -> None:
    waits = backend("c2") | {"standby": True, "in_rotation": False}
    assert shown(with_pools(pool("web", backend("c1"), waits)), height=5)[-1] == "  2 healthy"
    assert shown(with_pools(pool("web", backend("c1"), waits)), height=5)[-2] == (
        "pool web: 1 of 2 in rotation, 1 standby waits"
    )
    drained = waits | {"draining": True}
    assert shown(with_pools(pool("web", backend("c1"), backend("c3"), drained)), height=6)[-1] == "  2 more healthy"


def test_files_that_cannot_be_used_are_seen() -> None:
    refused = {"why": "login.key is not there", "since": 0.0}
    lines = shown(with_pools(tls_files=[{"where": "listener.login.tls", "refused": refused}]), width=120)
    assert re.match("listener.login.tls, for .*: login.key is not there; what was read before is in use", lines[1])


def test_a_source_that_fails_is_beside_its_pool() -> None:
    [line] = [line for line in shown(with_pools(discovered_pool("found")), width=200) if line.startswith("pool found")]
    assert line == ("pool found: 2 of 2 in rotation; file-list, for 1m 3s: /etc/lbproxy/backends.json: it is not JSON")


def test_what_stands_out_is_seen_at_every_height() -> None:
    words = {"c2": ["slow: p50 840 ms, others 12 ms", "5xx 20 %"]}
    view = with_pools(pool("web", *(backend(f"c{number}") for number in range(1, 4))) | {"outliers": words})
    said = "slow: p50 840 ms, others 12 ms; 5xx 20 %"
    assert shown(view)[-1] == f"  c2: {said}"
    assert shown(view, 120, 6)[-2:] == [
        f"  c2       up     3m 20s  33.3%       1       2  10%  12 ms  800 ms  {said}",
        "  2 more healthy",
    ]
    assert shown(view, 120, 5)[-1] == f"pool web: 3 of 3 in rotation; c2 up ({said})"


def test_where_there_is_no_terminal_nothing_is_cut() -> None:
    console = Console(file=io.StringIO(), width=160)
    console.print(compact(with_pools(*(pool(f"p{number}", dead_backend("c1")) for number in range(40))), None))
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().count("c1: the backend refused the connection: connection refused") == 40


def test_how_it_went_is_beside_the_numbers() -> None:
    trend, view = Trend(), with_pools(healthy("web", 2))
    for second in range(4):
        one = backend("web1") | {
            "requests": 10 * second**2,
            "first_byte": {"below": {"0.014": second}, "sum": second**2 / 100},
        }
        view = with_pools(pool("web", one, backend("web2")), uptime_seconds=100.0 + second)
        trend.note(view)
    console = Console(file=io.StringIO(), width=80, height=24, force_terminal=True, color_system=None)
    console.print(compact(view, 24, trend))
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert lines[2].rstrip() == "pool web: 2 of 2 in rotation  ▂▅█ 50/s"
    assert lines[4].rstrip().endswith("800 ms       ▂▅█")
    assert lines[5].rstrip().endswith("800 ms"), "it had no answers"
