from __future__ import annotations

from lbproxy.control.fleet.place import Place


def test_the_key_has_the_fleet_and_the_replica() -> None:
    place = Place("login", "lb1", "h1", 5.0, "run", 1, "0.1.0", "abc", {})
    assert place.key == "/lbproxy/login/replicas/lb1"
