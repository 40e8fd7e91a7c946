from __future__ import annotations

from lbproxy.cli.complaints import complaints
from tests.control.sample import backend, dead_backend, discovered_pool, guarded_pool, kerberos_pool, pool


def test_a_sound_pool_has_none() -> None:
    assert not [*complaints(pool("web", backend("c1")))]


def test_each_backend_has_what_is_to_say_of_it() -> None:
    view = pool("web", backend("c1"), dead_backend("c2")) | {
        "outliers": {"c1": ["slow: p50 2.1 s, others 12 ms", "5xx 9 %"]}
    }
    assert [line.plain for line in complaints(view)] == [
        "  c1: slow: p50 2.1 s, others 12 ms; 5xx 9 %",
        "  c2: the backend refused the connection: connection refused",
    ]


def test_tickets_sources_and_differences_are_told() -> None:
    assert any(line.plain.startswith("  kerberos, for ") for line in complaints(kerberos_pool("k")))
    assert any("failing for 1m 3s" in line.plain for line in complaints(discovered_pool("d")))
    assert any("kept out, unlike the others" in line.plain for line in complaints(guarded_pool("g")))
