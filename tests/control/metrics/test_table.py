from __future__ import annotations

import re
from pathlib import Path

import pytest

from lbproxy.control.metrics.rows import Row
from lbproxy.control.metrics.table import TABLE
from lbproxy.control.snapshot import Snapshot
from tests.control.sample import discovered_pool, expiry, fleet, guarded_pool, kerberos_pool, snapshot

DOCS = Path(__file__).parents[3] / "docs" / "monitoring.md"


def documented() -> list[tuple[str, ...]]:
    """The rows of the table of metrics in docs/monitoring.md."""
    lines = [line for line in DOCS.read_text().splitlines() if line.startswith("| `lbproxy_")]
    return [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines]


def test_the_documentation_has_the_same_table() -> None:
    rows = [(f"`{row.name}`", row.kind, ", ".join(row.labels), row.help) for row in TABLE]
    assert documented() == rows


def test_names_are_as_prometheus_wants_them() -> None:
    """https://prometheus.io/docs/practices/naming/"""
    names = [row.name for row in TABLE]
    assert len(set(names)) == len(names)
    for row in TABLE:
        assert re.fullmatch(r"lbproxy_[a-z_]+", row.name)
        assert row.name.endswith("_total") == (row.kind == "counter")


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_every_row_finds_samples_with_its_labels(row: Row) -> None:
    view = snapshot()
    view["pools"] += [kerberos_pool("windows"), guarded_pool("alike"), discovered_pool("found")]
    view["fleet"] = fleet(tickets={"secret": "ab", "shared": True, "why": "", "key": 1, "made": 1.0})
    samples = row.family(view, {}).samples
    assert samples
    for sample in samples:
        assert set(sample.labels) - {"le"} == set(row.labels)


def values(name: str, view: Snapshot | None = None) -> dict[tuple[str, ...], float]:
    [row] = [row for row in TABLE if row.name == name]
    return {tuple(sample.labels.values()): sample.value for sample in row.family(view or snapshot(), {}).samples}


def test_only_an_up_backend_is_up() -> None:
    assert values("lbproxy_backend_up") == {
        ("connectors", "c1"): 1,
        ("connectors", "c2"): 0,
        ("connectors", "c3"): 0,
    }


def test_a_backend_that_was_never_probed_has_no_probe() -> None:
    assert values("lbproxy_probe_success") == {("connectors", "c1"): 1, ("connectors", "c2"): 0}
    assert values("lbproxy_probe_duration_seconds") == {("connectors", "c1"): 0.003, ("connectors", "c2"): 0.001}


def test_kerberos_checks_have_their_reasons() -> None:
    view = snapshot()
    view["pools"].append(kerberos_pool("windows"))
    assert values("lbproxy_probe_reason", view) == {("windows", "k2", "connector_key"): 1}
    assert values("lbproxy_kerberos_trouble", view) == {("windows", "kdc_unreachable"): 1}
    assert values("lbproxy_backend_binds", view) == {("windows", "k1"): 0, ("windows", "k2"): 1}


def test_each_backend_has_its_classes_and_kinds() -> None:
    assert values("lbproxy_backend_responses_total")["connectors", "c1", "2xx"] == 7
    assert values("lbproxy_backend_lanes")["connectors", "c2", "private"] == 8
    assert values("lbproxy_backend_lanes")["connectors", "c2", "idle"] == 7


def test_what_differs_is_told_for_each_fact_that_is_known() -> None:
    view = snapshot()
    view["pools"].append(guarded_pool("alike"))
    assert values("lbproxy_backend_inconsistent", view) == {
        ("alike", "g1", "version"): 0,
        ("alike", "g1", "address"): 0,
        ("alike", "g2", "version"): 0,
        ("alike", "g3", "version"): 1,
        ("alike", "g3", "address"): 0,
    }


def test_handshakes_are_told_apart_by_result() -> None:
    assert values("lbproxy_tls_handshakes_total") == {
        ("login", "full"): 300,
        ("login", "resumed"): 45,
        ("login", "failed"): 11,
    }
    assert values("lbproxy_backend_tls_handshakes_total") == {
        ("connectors", "c2", "full"): 4,
        ("connectors", "c2", "resumed"): 2,
        ("connectors", "c2", "failed"): 1,
    }


def test_of_two_of_one_name_the_first_to_end_counts() -> None:
    """As in a bundle with the old certificate and the new one of an authority."""
    view = snapshot()
    view["expiries"] = [expiry("crl", "CN=Users CA", -1), expiry("crl", "CN=Users CA", 30)]
    labels = ("listener.login.tls", "crl", "/etc/lbproxy/crl.pem", "CN=Users CA")
    assert values("lbproxy_expiry_seconds", view) == {labels: -86400}


def test_refusals_and_ends_are_by_reason() -> None:
    assert values("lbproxy_refused_total") == {("login", "not_allowed"): 3, ("login", "misdirected"): 6}
    assert values("lbproxy_ends_total") == {("done",): 600, ("client_gone",): 2}
    assert values("lbproxy_listener_ends_total")["login", "client_cert_refused"] == 4


def test_sources_of_backends() -> None:
    view = snapshot()
    view["pools"].append(discovered_pool("found"))
    sources = [("found", "dns"), ("found", "file-list")]
    for name, expected in (("members", [2, 1]), ("stale_seconds", [0, 63]), ("doubted", [1, 0])):
        assert values(f"lbproxy_discovery_{name}", view) == dict(zip(sources, expected, strict=True))
