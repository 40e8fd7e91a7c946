from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import gssapi
import pytest

from lbproxy.control.probes.kerberos.credentials import Login
from lbproxy.control.probes.kerberos.failures import Failure, KerberosFailure
from lbproxy.control.probes.kerberos.sign_in import SignIn
from tests.control.probes.kerberos.peers import PRINCIPAL, PROBE, Corp, asked_of, clock


def fails(call: Callable[[], object]) -> tuple[Failure, str]:
    with pytest.raises(KerberosFailure) as caught:
        call()
    return caught.value.failure, caught.value.detail


def accept(keytab: Path, token: bytes) -> bytes:
    """The reply of a service with the keys in `keytab`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KRB5RCACHENAME", "none:")
        credentials = gssapi.Credentials(usage="accept", store={"keytab": str(keytab)})
        context = gssapi.SecurityContext(creds=credentials, usage="accept")
        reply = context.step(token)
        assert context.complete
        assert str(context.initiator_name) == PRINCIPAL
        return reply or b""


def test_a_ticket_makes_any_number_of_fresh_tokens(corp: Corp) -> None:
    before = time.monotonic()
    ticket = corp.login().fetch()
    assert ticket.kvno == 1
    assert before <= ticket.fetched <= time.monotonic()
    assert 23 * 3600 < round(ticket.expires - ticket.fetched) <= 24 * 3600
    assert abs(ticket.skew) < 10  # one clock, on a loaded machine
    handshakes = [ticket.initiate() for _ in range(3)]
    assert len({handshake.token for handshake in handshakes}) == 3
    for handshake in handshakes:
        assert handshake.token.startswith(b"\x60")
        handshake.verify(accept(corp.keytab, handshake.token))
    assert (asked_of(corp, "AS_REQ"), asked_of(corp, "TGS_REQ")) == (1, 1)


def test_the_name_of_the_service_is_taken_as_it_is(corp: Corp, monkeypatch: pytest.MonkeyPatch) -> None:
    """With canonicalisation, which is MIT's default, localhost would become another name, or fail."""
    corp.realm.add_service("HTTP/localhost")
    extra = corp.realm.directory / "canonical.conf"
    extra.write_text("[libdefaults]\ndns_canonicalize_hostname = true\nrdns = true\n")
    monkeypatch.setenv("KRB5_CONFIG", f"{extra}:{corp.realm.env['KRB5_CONFIG']}")
    assert corp.login(spn="HTTP@localhost").fetch().kvno == 1


def test_every_service_ticket_is_made_with_the_key_of_now(corp: Corp) -> None:
    login = corp.login()
    assert login.fetch().kvno == 1
    new = corp.rotate()
    ticket = login.fetch()
    assert ticket.kvno == 2
    handshake = ticket.initiate()
    handshake.verify(accept(new, handshake.token))
    assert (asked_of(corp, "AS_REQ"), asked_of(corp, "TGS_REQ")) == (1, 2)


def test_the_ticket_before_stays_good_though_the_next_one_could_not_be_had(corp: Corp) -> None:
    login = corp.login()
    login.fetch()
    ticket = login.fetch()
    corp.realm.stop()
    for _ in range(3):
        assert fails(login.fetch)[0] is Failure.KDC_UNREACHABLE
    handshake = ticket.initiate()
    handshake.verify(accept(corp.keytab, handshake.token))


def test_a_service_that_the_kdc_does_not_know(corp: Corp) -> None:
    failure, detail = fails(corp.login(spn="HTTP@nobody.corp.example").fetch)
    assert failure is Failure.SPN_UNKNOWN
    assert detail == "Server HTTP/nobody.corp.example@CORP.EXAMPLE not found in Kerberos database"


@pytest.mark.parametrize("host", ["old.corp.example", "old.test"])
def test_why_the_kdc_refuses_a_service_that_it_knows(corp: Corp, host: str) -> None:
    """Also where the host's name suggests another realm than the account's, for which MIT's library asks at last."""
    corp.kadmin_talks(f"addprinc -randkey -expire yesterday HTTP/{host}")
    failure, detail = fails(corp.login(spn=f"HTTP@{host}").fetch)
    assert (failure, detail) == (Failure.KDC_REFUSED, "Server's entry in database has expired")


@pytest.mark.parametrize(("offset", "words"), [("+1200s", "ahead of"), ("-1200s", "behind")])
def test_a_kdc_whose_clock_is_wrong(offset: str, words: str, corp: Corp) -> None:
    corp.restart_kdc(clock(offset))
    failure, detail = fails(corp.login().fetch)
    assert failure is Failure.KDC_SKEW
    found = re.fullmatch(rf"the KDC's is (\d+) s {words} this machine's", detail)
    assert found, detail
    assert abs(int(found[1]) - 1200) <= 10


def test_a_small_difference_of_clocks_is_known_and_no_trouble(corp: Corp) -> None:
    corp.restart_kdc(clock("-100s"))
    assert abs(corp.login().fetch().skew + 100) < 10


@pytest.mark.parametrize("preauthentication", ["-", "+"])
def test_a_kdc_whose_clock_is_wrong_where_mit_does_not_adjust_to_it(
    preauthentication: str, corp: Corp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then even the login fails, and by how much the clocks differ stays unknown."""
    corp.kadmin(f"modprinc {preauthentication}requires_preauth {PROBE}")
    corp.restart_kdc(clock("+1200s"))
    extra = corp.realm.directory / "timesync.conf"
    extra.write_text("[libdefaults]\nkdc_timesync = 0\n")
    monkeypatch.setenv("KRB5_CONFIG", f"{extra}:{corp.realm.env['KRB5_CONFIG']}")
    failure, detail = fails(corp.login().fetch)
    assert failure is Failure.KDC_SKEW
    assert detail.startswith("Clock skew too great")


@pytest.mark.parametrize("reply", [b"", b"nonsense", b"\xa1\x07\x30\x05\xa0\x03\x0a\x01\x02"])
def test_a_reply_that_proves_nothing(reply: bytes, corp: Corp) -> None:
    handshake = corp.login().fetch().initiate()
    assert fails(lambda: handshake.verify(reply))[0] is Failure.MUTUAL_WRONG


def test_a_reply_to_another_token(corp: Corp) -> None:
    ticket = corp.login().fetch()
    one, other = ticket.initiate(), ticket.initiate()
    reply = accept(corp.keytab, other.token)
    assert fails(lambda: one.verify(reply))[0] is Failure.MUTUAL_WRONG


def test_a_ticket_that_has_become_useless(corp: Corp) -> None:
    corp.kadmin(f'modprinc -maxlife "1 second" {PROBE}')
    ticket = corp.login().fetch()
    corp.realm.stop()

    def use_up() -> None:
        while time.monotonic() < ticket.expires + 5:  # it counts in whole seconds
            ticket.initiate()
            time.sleep(0.05)

    assert fails(use_up)[0] in (Failure.KDC_UNREACHABLE, Failure.KDC_REFUSED)


def test_memory_does_not_grow_with_the_tickets(corp: Corp) -> None:
    login = corp.login()

    def pages_after(fetches: int) -> int:
        for _ in range(fetches):
            login.fetch()
        return int(Path("/proc/self/statm").read_text().split()[1])

    before = pages_after(100)
    assert (pages_after(400) - before) * os.sysconf("SC_PAGE_SIZE") < 400 * 1024


def test_the_next_process_has_the_ticket_without_a_kdc(corp: Corp) -> None:
    one, other = corp.login(), corp.login()
    ticket = one.fetch()
    corp.realm.stop()
    memory = one.memory(ticket)
    again = other.recall(memory)
    assert again is not None
    assert (again.key, again.fetched, again.expires) == (ticket.key, ticket.fetched, ticket.expires)
    handshake = again.initiate()
    handshake.verify(accept(corp.keytab, handshake.token))
    assert corp.login(spn="HTTP@other.corp.example").recall(memory) is None


def test_a_refusal_is_not_asked_for_at_once_again(corp: Corp) -> None:
    login = Login(SignIn(PRINCIPAL, corp.probe_keytab), "HTTP@nobody.corp.example")
    assert fails(login.fetch)[0] is Failure.SPN_UNKNOWN
    asked = asked_of(corp, "TGS_REQ")
    for _ in range(3):
        assert fails(login.fetch)[0] is Failure.SPN_UNKNOWN
    assert asked_of(corp, "TGS_REQ") == asked
