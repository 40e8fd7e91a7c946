from __future__ import annotations

from pathlib import Path

from lbproxy.control.probes.kerberos.sign_ins import SignIns
from tests.control.probes.kerberos.peers import PRINCIPAL, Corp, asked_of


def test_who_has_principal_and_keytab_in_common_is_one(corp: Corp) -> None:
    sign_ins = SignIns()
    one = sign_ins.of(PRINCIPAL, corp.probe_keytab)
    assert sign_ins.of(PRINCIPAL, corp.probe_keytab) is one
    assert sign_ins.of(PRINCIPAL, Path("other.keytab")) is not one
    assert sign_ins.of("other@CORP.EXAMPLE", corp.probe_keytab) is not one


def test_the_next_process_goes_on(corp: Corp) -> None:
    before = SignIns()
    before.of(PRINCIPAL, corp.probe_keytab).credentials()
    before.retire()
    after = SignIns(before.memory()).of(PRINCIPAL, corp.probe_keytab)
    assert str(after.credentials().name) == PRINCIPAL
    assert asked_of(corp, "AS_REQ") == 1
