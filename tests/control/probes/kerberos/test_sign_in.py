from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from lbproxy.control.probes.kerberos.failures import Failure, KerberosFailure
from lbproxy.control.probes.kerberos.sign_in import SignIn, check_keytab
from lbproxy.demo.realm import Realm
from tests.control.probes.kerberos.peers import PRINCIPAL, PROBE, Corp, asked_of


def fails(call: Callable[[], object]) -> tuple[Failure, str]:
    with pytest.raises(KerberosFailure) as caught:
        call()
    return caught.value.failure, caught.value.detail


def test_many_threads_sign_in_once(corp: Corp) -> None:
    one = corp.sign_in()
    with ThreadPoolExecutor(8) as threads:
        held = list(threads.map(lambda _: one.credentials(), range(50)))
    assert {str(credentials.name) for credentials in held} == {PRINCIPAL}
    assert asked_of(corp, "AS_REQ") == 1
    assert abs(one.skew) < 10  # one clock, on a loaded machine


def test_it_is_renewed_before_it_expires(corp: Corp) -> None:
    """Tickets of 2 s: none is handed out that is about to expire."""
    corp.kadmin(f'modprinc -maxlife "2 seconds" {PROBE}')
    one, end = corp.sign_in(), time.monotonic() + 3
    while time.monotonic() < end:
        assert one.credentials().lifetime >= 0
        time.sleep(0.05)
    assert asked_of(corp, "AS_REQ") >= 2


def test_memory_does_not_grow_with_the_sign_ins(corp: Corp) -> None:
    one = corp.sign_in(renew=0.0)

    def pages_after(sign_ins: int) -> int:
        for _ in range(sign_ins):
            one.credentials()
        return int(Path("/proc/self/statm").read_text().split()[1])

    before = pages_after(100)
    assert (pages_after(300) - before) * os.sysconf("SC_PAGE_SIZE") < 300 * 1024


# --- what is refused, and when it is tried again


def test_a_changed_password_is_noticed_while_the_ticket_is_good(corp: Corp) -> None:
    one = corp.sign_in(renew=0.0)
    one.credentials()
    corp.realm.rotate(PROBE)
    assert str(one.credentials().name) == PRINCIPAL, "the ticket goes on being used"
    assert one.trouble is not None
    assert one.trouble.failure is Failure.KEY_WRONG
    asked = asked_of(corp, "AS_REQ")
    one.credentials()
    assert asked_of(corp, "AS_REQ") == asked


def test_a_refused_key_is_not_offered_again_until_the_keytab_changes(corp: Corp) -> None:
    """Directories lock an account after a few wrong keys."""
    corp.kadmin(f"modprinc +requires_preauth {PROBE}")
    new, one = corp.realm.rotate(PROBE), corp.sign_in()
    assert fails(one.credentials)[0] is Failure.KEY_WRONG
    asked = asked_of(corp, "AS_REQ")
    for _ in range(3):
        assert fails(one.credentials)[0] is Failure.KEY_WRONG
    assert asked_of(corp, "AS_REQ") == asked
    new.replace(corp.probe_keytab)
    one.credentials()
    assert one.trouble is None


def test_what_else_is_refused_is_asked_for_again_later(corp: Corp) -> None:
    corp.kadmin(f"modprinc -allow_tix {PROBE}")
    patient, hasty = SignIn(PRINCIPAL, corp.probe_keytab, retry=3600.0), corp.sign_in()
    for one, questions in ((patient, 1), (hasty, 3)):
        before = asked_of(corp, "AS_REQ")
        for _ in range(3):
            assert fails(one.credentials)[0] is Failure.ACCOUNT_DISABLED
        assert asked_of(corp, "AS_REQ") == before + questions
    corp.kadmin(f"modprinc +allow_tix {PROBE}")
    assert fails(patient.credentials)[0] is Failure.ACCOUNT_DISABLED
    os.utime(corp.probe_keytab)
    patient.credentials()


@pytest.mark.parametrize("preauthentication", ["-", "+"])
def test_an_old_key_of_the_probe(preauthentication: str, corp: Corp) -> None:
    corp.kadmin(f"modprinc {preauthentication}requires_preauth {PROBE}")
    corp.realm.rotate(PROBE)
    assert fails(corp.sign_in().credentials)[0] is Failure.KEY_WRONG


@pytest.mark.parametrize(
    ("change", "failure", "detail"),
    [
        ("-allow_tix", Failure.ACCOUNT_DISABLED, "Client's credentials have been revoked; CLIENT LOCKED OUT"),
        ("-expire yesterday", Failure.ACCOUNT_EXPIRED, "Client's entry in database has expired; CLIENT EXPIRED"),
        ("-pwexpire yesterday", Failure.PASSWORD_EXPIRED, "Password has expired; CLIENT KEY EXPIRED"),
        ("+needchange", Failure.PASSWORD_EXPIRED, "Password has expired; REQUIRED PWCHANGE"),
    ],
)
def test_what_is_wrong_with_the_account(change: str, failure: Failure, detail: str, corp: Corp) -> None:
    corp.kadmin(f"modprinc {change} {PROBE}")
    assert fails(corp.sign_in().credentials) == (failure, detail)


def test_a_locked_account(corp: Corp) -> None:
    corp.kadmin(f"modprinc +requires_preauth {PROBE}")
    corp.kadmin_talks("addpol -maxfailure 1 strict")
    corp.kadmin(f"modprinc -policy strict {PROBE}")
    corp.realm.rotate(PROBE)
    assert fails(corp.sign_in().credentials)[0] is Failure.KEY_WRONG
    failure, detail = fails(corp.sign_in().credentials)
    assert failure is Failure.ACCOUNT_LOCKED
    assert detail.endswith("; LOCKED_OUT")


def test_a_keytab_with_a_key_of_another_type(corp: Corp, tmp_path: Path) -> None:
    """The same principal, and an AES-128 key, of which this KDC has none."""
    corp.kadmin(f"modprinc +requires_preauth {PROBE}")
    keytab = tmp_path / "other.keytab"
    version, entry = corp.probe_keytab.read_bytes()[:2], corp.probe_keytab.read_bytes()[6:]
    name, _, rest = entry.partition(b"\x00\x12\x00\x20")
    other = name + b"\x00\x11\x00\x10" + b"k" * 16 + rest[32:]
    keytab.write_bytes(version + struct.pack("!i", len(other)) + other)
    assert fails(corp.sign_in(keytab).credentials)[0] is Failure.ENCTYPE


def test_a_stopped_kdc(corp: Corp) -> None:
    corp.realm.stop()
    failure, detail = fails(corp.sign_in().credentials)
    assert failure is Failure.KDC_UNREACHABLE
    assert detail == "Cannot contact any KDC for realm 'CORP.EXAMPLE'"


def test_a_realm_that_nobody_knows(corp: Corp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KRB5_CONFIG", "/dev/null")
    assert fails(corp.sign_in().credentials)[0] is Failure.KDC_UNREACHABLE


def test_a_principal_that_the_kdc_does_not_know(corp: Corp, tmp_path: Path) -> None:
    with Realm(tmp_path / "other") as other:  # the same realm's name, and another database
        stranger = "HTTP/stranger.corp.example@CORP.EXAMPLE"
        one = SignIn(stranger, other.add_service("HTTP/stranger.corp.example"))
    failure, detail = fails(one.credentials)
    assert failure is Failure.PRINCIPAL_UNKNOWN
    assert stranger in detail


def test_keytabs(corp: Corp, tmp_path: Path) -> None:
    junk = tmp_path / "junk"
    junk.write_text("junk")
    os.mkfifo(tmp_path / "fifo")
    check_keytab(corp.probe_keytab, PRINCIPAL)
    for keytab, text in (
        (tmp_path / "none", f"{tmp_path}/none: No such file or directory"),
        (tmp_path / "fifo", f"{tmp_path}/fifo: not a regular file"),
        (junk, f"{junk}: Unsupported key table format version number"),
        (corp.keytab, f"{corp.keytab}: No key table entry found for {PRINCIPAL}"),
    ):
        assert fails(partial(check_keytab, keytab, PRINCIPAL)) == (Failure.KEYTAB_UNUSABLE, text)
        assert fails(corp.sign_in(keytab).credentials) == (Failure.KEYTAB_UNUSABLE, text)


# --- the next process


def test_the_next_one_has_the_ticket_without_a_kdc(corp: Corp) -> None:
    one, other = corp.sign_in(), corp.sign_in()
    one.credentials()
    corp.realm.stop()
    other.remember(one.memory())
    assert str(other.credentials().name) == PRINCIPAL
    assert other.skew == pytest.approx(one.skew, abs=0.01)


def test_the_next_one_does_not_offer_a_refused_key(corp: Corp) -> None:
    corp.kadmin(f"modprinc +requires_preauth {PROBE}")
    corp.realm.rotate(PROBE)
    one, other = corp.sign_in(), corp.sign_in()
    assert fails(one.credentials)[0] is Failure.KEY_WRONG
    asked = asked_of(corp, "AS_REQ")
    other.remember(one.memory())
    assert fails(other.credentials)[0] is Failure.KEY_WRONG
    assert asked_of(corp, "AS_REQ") == asked


def test_the_next_one_goes_on_waiting(corp: Corp) -> None:
    corp.kadmin(f"modprinc -allow_tix {PROBE}")
    one, other = SignIn(PRINCIPAL, corp.probe_keytab, retry=3600.0), corp.sign_in()
    assert fails(one.credentials)[0] is Failure.ACCOUNT_DISABLED
    other.remember(one.memory())
    assert fails(other.credentials)[0] is Failure.ACCOUNT_DISABLED
    assert asked_of(corp, "AS_REQ") == 1


def test_one_that_is_replaced_asks_nothing_and_uses_what_it_has(corp: Corp) -> None:
    one, new = corp.sign_in(renew=0.0), corp.sign_in()
    one.credentials()
    for each in (one, new):
        each.retire()
    one.credentials()
    assert fails(new.credentials) == (Failure.KDC_REFUSED, "not signed in")
    assert asked_of(corp, "AS_REQ") == 1
