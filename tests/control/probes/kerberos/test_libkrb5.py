from __future__ import annotations

import time

import pytest

from lbproxy.control.probes.kerberos import gss
from lbproxy.control.probes.kerberos.libkrb5 import SignInError, destroy, sign_in
from tests.control.probes.kerberos.peers import PRINCIPAL, PROBE, Corp

CACHE = "MEMORY:test-libkrb5"


def test_a_ticket_and_its_times(corp: Corp) -> None:
    times = sign_in(PRINCIPAL, corp.probe_keytab, CACHE)
    assert abs(times.issued - time.time()) < 60
    assert times.ends - times.issued == 24 * 3600
    assert str(gss.credentials(CACHE).name) == PRINCIPAL


def test_a_cache_that_is_destroyed_is_empty(corp: Corp) -> None:
    sign_in(PRINCIPAL, corp.probe_keytab, CACHE)
    destroy(CACHE)
    with pytest.raises(gss.GSSError):
        gss.credentials(CACHE).inquire()


def test_what_the_kdc_says(corp: Corp) -> None:
    corp.kadmin(f"modprinc -allow_tix {PROBE}")
    with pytest.raises(SignInError) as caught:
        sign_in(PRINCIPAL, corp.probe_keytab, CACHE)
    assert (caught.value.number, caught.value.status) == (18, "CLIENT LOCKED OUT")
    assert caught.value.text == "Client's credentials have been revoked"


def test_what_the_library_says_by_itself(corp: Corp) -> None:
    corp.realm.stop()
    with pytest.raises(SignInError) as caught:
        sign_in(PRINCIPAL, corp.probe_keytab, CACHE)
    assert (caught.value.number, caught.value.status, caught.value.data) == (156, "", b"")
    assert caught.value.text == "Cannot contact any KDC for realm 'CORP.EXAMPLE'"


def test_a_name_that_is_none(corp: Corp) -> None:
    with pytest.raises(SignInError) as caught:
        sign_in("two@at@signs", corp.probe_keytab, CACHE)
    assert "Malformed" in caught.value.text
