from __future__ import annotations

from pathlib import Path

from lbproxy.status.served import Origin, Served

ORIGIN = Origin(4711, "run", Path("/etc/lbproxy/lbproxy.toml"), 1795246800.5, replaces=False)


def test_it_begins_without_a_reload() -> None:
    served = Served(1, ORIGIN)
    assert (served.state, served.last_reload, served.remark()) == ("starting", None, "")


def test_a_reload_that_went_well() -> None:
    served = Served(2, ORIGIN)
    served.reloaded([], 1795246810.25)
    assert served.last_reload == {"ended": 1795246810.25, "ok": True, "problems": []}
    assert served.remark() == "; reloaded at 2026-11-21T07:40:10.250Z"


def test_one_that_failed_says_why() -> None:
    served = Served(1, ORIGIN)
    served.reloaded(["lb.toml: x: missing"], 1795246810.25)
    assert served.last_reload == {"ended": 1795246810.25, "ok": False, "problems": ["lb.toml: x: missing"]}
    assert served.remark() == "; the last reload, at 2026-11-21T07:40:10.250Z, failed: lb.toml: x: missing"
    served.reloaded(["lb.toml: x: missing", "a", "b"], 1795246810.25)
    assert served.remark().endswith("failed: lb.toml: x: missing (and 2 more)")
