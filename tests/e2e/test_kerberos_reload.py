"""A reload while no KDC answers: who was out stays out, who was in stays in, and nobody signs in anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.control.probes.kerberos.peers import PRINCIPAL, SPN, Corp, asked_of

from .balancer import running
from .configuration import configuration
from .reloads import comes_true, reload


async def test_a_reload_without_a_kdc_forgets_no_verdict(
    tmp_path: Path, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corp = Corp(tmp_path / "realm")
    monkeypatch.setenv("KRB5_CONFIG", corp.realm.env["KRB5_CONFIG"])
    wrong = corp.realm.add_service("HTTP/other.corp.example")
    check = {
        "kind": "kerberos",
        "path": "/wsfed",
        "interval": "0.3s",
        "timeout": "10s",
        "kerberos": {"principal": PRINCIPAL, "keytab": str(corp.probe_keytab), "spn": SPN},
    }
    journal = tmp_path / "journal"
    with (
        corp.sample_connector("--keytab", corp.keytab) as good,
        corp.sample_connector("--keytab", wrong, "--journal", journal) as bad,
    ):
        config = configuration(directory, [("c1", good.url), ("c2", bad.url)], pool={"check": check})
        async with running(config, directory) as balancer:
            await balancer.logged("backend_ejected", "c2", "connector_key")
            corp.realm.stop()
            asked = asked_of(corp, "AS_REQ")
            await reload(balancer)
            before = len(journal.read_text().splitlines())
            await comes_true(lambda: len(journal.read_text().splitlines()) > before + 6)  # two a probe at the most
            assert not any("backend_readmitted" in line and "c2" in line for line in balancer.log)
            assert not any("backend_ejected" in line and "c1" in line for line in balancer.log)
    assert asked == 1
