from __future__ import annotations

import threading

import pytest

from lbproxy.control.probes.kerberos.failures import Failure
from lbproxy.doctor.balancer import sight
from lbproxy.doctor.balancer.sight import remedy, ticket_of
from lbproxy.doctor.finding import UnseenError
from tests.control.probes.kerberos.peers import Corp, asked_of
from tests.doctor.conftest import Looking, kerberos


async def test_a_balancer_that_does_not_run_is_not_seen(look: Looking) -> None:
    with pytest.raises(UnseenError, match="lbproxy is not running"):
        await look().status()


async def test_without_a_kerberos_check_there_is_nobody_to_ask_as(look: Looking) -> None:
    with pytest.raises(UnseenError, match="no pool has a Kerberos check"):
        look().one_kerberos()


async def test_a_ticket_is_asked_for_once(look: Looking, corp: Corp) -> None:
    found = look(pool=kerberos(corp.probe_keytab)).one_kerberos()
    tickets = [await ticket_of(found), await ticket_of(found)]
    assert tickets[0] is tickets[1]
    assert (tickets[0].kvno, tickets[0].enctype) == (1, 18)
    assert asked_of(corp, "AS_REQ") == 1
    assert (found.realm, found.service) == ("CORP.EXAMPLE", "HTTP/login.corp.example")


async def test_a_sign_in_that_is_refused_is_tried_once(look: Looking, corp: Corp) -> None:
    corp.realm.rotate("HTTP/probe.corp.example")
    found = look(pool=kerberos(corp.probe_keytab)).one_kerberos()
    for _ in range(3):
        with pytest.raises(UnseenError, match="the KDC refuses the key"):
            await ticket_of(found)
    assert asked_of(corp, "AS_REQ") == 1


async def test_a_kdc_that_says_nothing_is_named(look: Looking, corp: Corp, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = threading.Event()
    monkeypatch.setattr(sight, "_SIGN_IN", 0.1)
    monkeypatch.setattr(sight, "_sign_in", lambda table: asked.wait())
    try:
        with pytest.raises(UnseenError, match=r"no KDC has answered within 0\.1 s"):
            await ticket_of(look(pool=kerberos(corp.probe_keytab)).one_kerberos())
    finally:
        asked.set()


async def test_a_token_is_never_shown(look: Looking, corp: Corp) -> None:
    assert "token" not in repr(await ticket_of(look(pool=kerberos(corp.probe_keytab)).one_kerberos()))


def test_remedies_are_plain_text() -> None:
    assert remedy(Failure.KEYTAB_UNUSABLE) == "keytab: the file, its permissions, klist -k"
