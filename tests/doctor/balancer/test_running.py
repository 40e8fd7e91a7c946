from __future__ import annotations

from pathlib import Path

import pytest

from lbproxy.control.snapshot import Snapshot
from lbproxy.doctor.balancer import running
from lbproxy.doctor.finding import UnseenError
from tests.control import sample
from tests.doctor.conftest import Looking, kerberos
from tests.doctor.looking import told
from tests.doctor.servers import admin, limited


def shows(**changed: object) -> Snapshot:
    return sample.snapshot() | changed  # type: ignore[return-value]


async def test_one_that_serves(look: Looking, tmp_path: Path) -> None:
    shown = shows()
    shown["listeners"][0]["accept_pauses"] = 0
    async with admin(tmp_path / "admin.sock", shown):
        assert told(await running.state(look())) == ["ok: lbproxy 0.1.0 is serving, pid 4711"]


async def test_what_the_balancer_itself_complains_of(look: Looking, tmp_path: Path) -> None:
    shown = shows(
        state="draining",
        tls_files=[{"where": "listener.login.tls", "refused": {"why": "login.pem is cut off", "since": 1.0}}],
    )
    shown["configuration"]["last_reload"] = {"ended": 1.0, "ok": False, "problems": ["the key does not fit"]}
    shown["listeners"][0]["shut_out"] = {"authorities": ["CN=Users CA"], "everybody": False}
    async with admin(tmp_path / "admin.sock", shown):
        assert told(await running.state(look())) == [
            "warning: lbproxy is draining",
            "problem: the last reload failed: the key does not fit",
            "problem: listener.login.tls: login.pem is cut off",
            "problem: listener login: no current revocation list of CN=Users CA: its users are refused",
            "warning: listener login: accepting has stopped 2 times for want of descriptors",
        ]


async def test_backends_as_their_probes_see_them(look: Looking, tmp_path: Path) -> None:
    async with admin(tmp_path / "admin.sock", shows()):
        found = told(await running.backends(look()))
    assert [one.split(": ")[:2] for one in found] == [
        ["ok", "connectors/c1"],
        ["problem", "connectors/c2"],
        ["warning", "connectors/c3"],
    ]


async def test_reasons_of_kerberos_come_with_what_helps(look: Looking, tmp_path: Path) -> None:
    async with admin(tmp_path / "admin.sock", shows(pools=[sample.kerberos_pool("k")])):
        found = list(await running.backends(look()))
    assert told(found)[0] == "problem: pool k: no KDC of the realm answers (no answer within 0.5 s)"
    assert found[0].repair.startswith("the KDCs; krb5.conf and DNS")
    assert "k9: weight is 101" in told(found)[1]
    assert "keytab" in found[-1].repair


async def test_sources_of_backends_that_fail(look: Looking, tmp_path: Path) -> None:
    async with admin(tmp_path / "admin.sock", shows(pools=[sample.discovered_pool("d"), sample.pool("empty")])):
        found = told(await running.backends(look()))
    assert found[0].startswith("warning: pool d: discovery file-list fails: /etc/lbproxy/backends.json")
    assert found[-1] == "problem: pool empty: the pool has no backends"


async def test_drift_that_the_guard_has_found(look: Looking, tmp_path: Path) -> None:
    async with admin(tmp_path / "admin.sock", shows(pools=[sample.guarded_pool("g")])):
        assert told(await running.consistency(look())) == [
            "problem: g/g3: version: version is 1.7.9, most have 1.8.0",
            "warning: g/g2: address cannot be read: no answer within 1 s",
        ]


async def test_without_a_guard_drift_is_found_by_users(look: Looking, tmp_path: Path) -> None:
    async with admin(tmp_path / "admin.sock", shows()):
        assert told(await running.consistency(look())) == ["warning: no pool compares its instances"]


async def test_if_it_does_not_run_backends_are_tried_without_a_sign_in(look: Looking, tmp_path: Path) -> None:
    async with limited(8000, "") as port:
        alive = look(f"http://127.0.0.1:{port}", pool=kerberos(tmp_path / "none.keytab"))
        assert told(await running.backends(alive)) == ["ok: connectors/c1: tried from here: connected"]
    assert told(await running.backends(alive)) == ["problem: connectors/c1: tried from here: connection refused"]
    with pytest.raises(UnseenError):
        await running.state(alive)
