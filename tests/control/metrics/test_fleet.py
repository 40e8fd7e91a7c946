from __future__ import annotations

from lbproxy.control.fleet.views import ReplicaDifferenceView
from tests.control.metrics.test_table import values
from tests.control.sample import fleet, ordered, replica, snapshot


def test_what_is_known_of_a_fleet() -> None:
    view = snapshot()
    assert values("lbproxy_fleet_member", view) == {}
    difference: ReplicaDifferenceView = {"what": "version", "here": "2", "elsewhere": "1", "since": 0.0}
    replicas = (replica("lb1"), replica("lb2", differs=[difference]), replica("lb3", gone=5.0))
    view["fleet"] = fleet(*replicas, unreachable_since=1.0, membership="joining", ignored={"k": "why"})
    assert values("lbproxy_fleet_member", view) == {("login-eu",): 0}
    assert values("lbproxy_fleet_unreachable_seconds", view)["login-eu",] > 1e9
    assert values("lbproxy_fleet_replicas", view) == {("login-eu",): 2}
    assert values("lbproxy_fleet_replicas_differing", view) == {
        ("login-eu", "version"): 1,
        ("login-eu", "configuration"): 0,
        ("login-eu", "secret_file"): 0,
    }
    assert values("lbproxy_fleet_values_ignored", view) == {("login-eu",): 1}
    view["fleet"] = fleet(orders=[ordered(), ordered(here_only="no answer")])
    assert values("lbproxy_fleet_orders", view) == {("login-eu",): 2}
    assert values("lbproxy_fleet_orders_here_only", view) == {("login-eu",): 1}
    assert values("lbproxy_fleet_tickets_shared", view) == {}
    view["fleet"] = fleet(tickets={"secret": "ab", "shared": True, "why": "", "key": 1, "made": 1.0})
    assert values("lbproxy_fleet_tickets_shared", view) == {("login-eu",): 1}
    view["fleet"] = fleet()
    assert values("lbproxy_fleet_unreachable_seconds", view) == {("login-eu",): 0}
