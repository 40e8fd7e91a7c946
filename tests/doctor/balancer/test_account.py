from __future__ import annotations

from lbproxy.doctor.balancer.account import signs_in
from lbproxy.doctor.finding import Outcome
from tests.control.probes.kerberos.peers import PRINCIPAL, Corp
from tests.doctor.conftest import Looking, kerberos
from tests.doctor.looking import only


async def test_one_that_signs_in(look: Looking, corp: Corp) -> None:
    found = only(await signs_in(look(pool=kerberos(corp.probe_keytab))))
    assert (found.outcome, found.found) == (Outcome.OK, f"{PRINCIPAL} signs in")


async def test_a_disabled_one(look: Looking, corp: Corp) -> None:
    corp.kadmin_talks(f"modprinc -allow_tix {PRINCIPAL}")
    found = only(await signs_in(look(pool=kerberos(corp.probe_keytab))))
    assert found.outcome is Outcome.PROBLEM
    assert "the probe's account is disabled" in found.found
    assert found.repair == "the account: enable it"


async def test_an_old_key(look: Looking, corp: Corp) -> None:
    corp.realm.rotate("HTTP/probe.corp.example")
    found = only(await signs_in(look(pool=kerberos(corp.probe_keytab))))
    assert "refuses the key in the probe's keytab" in found.found


async def test_no_kdc(look: Looking, corp: Corp) -> None:
    corp.realm.stop()
    found = only(await signs_in(look(pool=kerberos(corp.probe_keytab))))
    assert "no KDC of the realm answers" in found.found
