"""Each failure of a real Active Directory is named by doctor, with the account and the command that helps."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from lbproxy import config
from lbproxy.doctor.balancer import balancer_checks
from lbproxy.doctor.balancer.sight import Asked
from lbproxy.doctor.examination import examine
from lbproxy.doctor.finding import Finding, Outcome
from tests.active_directory import Domain, needs_domain
from tests.control.probes.kerberos.peers import clock
from tests.doctor.conftest import kerberos
from tests.e2e.active_directory import causes
from tests.e2e.active_directory.causes import Cause, Probe

pytestmark = needs_domain

AREAS = ("kerberos", "directory")


class Row(NamedTuple):
    """What is found: each check that does not say ok, with words of what it says."""

    cause: Cause
    found: dict[str, str]


TABLE = {
    "sound": Row(causes.sound, {}),
    "disabled": Row(causes.disabled, {"probe account": "is disabled", "probe's account": "is disabled"}),
    "expired": Row(causes.expired, {"probe account": "expired", "probe's account": "expired"}),
    "no-hours": Row(causes.no_hours, {"probe account": "may not sign in at this hour"}),
    "must-change": Row(
        causes.must_change, {"probe account": "must be changed", "probe's account": "has to change its password"}
    ),
    "locked": Row(causes.locked, {"probe account": "disabled, locked or expired", "probe's account": "is locked"}),
    "probe-key": Row(causes.probe_password_changed, {"probe account": "refuses the key"}),
    "probe-spn": Row(causes.principal_is_an_spn, {"probe account": "does not know the probe's principal"}),
    "spn-missing": Row(causes.spn_missing, {"service key": "knows no service", "SPN": "no account has"}),
    "spn-twice": Row(causes.spn_on_two_accounts, {"service key": "knows no service", "SPN": "is on 2 accounts"}),
    "spn-moved": Row(causes.spn_moved, {"keytabs": "and it is another one"}),
    "new-key": Row(causes.service_password_changed, {"keytabs": "tickets are made with kvno 2"}),
    "rc4-only": Row(
        causes.service_rc4_only,
        {"service key": "kvno 1, rc4", "keytabs": "rc4", "service account": "has RC4 keys only"},
    ),
    "service-off": Row(causes.service_disabled, {"service account": "is disabled"}),
}

Doctor = Callable[[Probe], dict[str, list[Finding]]]


@pytest.fixture(scope="module")
def named(active_directory: Domain) -> Domain:
    """Its LDAP is asked at its address."""
    active_directory.serve_ldap_as(active_directory.first.address)
    return active_directory


_numbers = itertools.count()


@pytest.fixture
def doctor(named: Domain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Doctor:
    """Looks with the ticket of alice: by the name of the check, what it says that is not ok."""
    for name, value in named.kinit("alice").items():
        monkeypatch.setenv(name, value)

    def look(probe: Probe) -> dict[str, list[Finding]]:
        path = tmp_path / "lbproxy.toml"
        spn = probe.spn.replace("/", "@")
        path.write_text(f"""
server_url = "http://{probe.spn.partition("/")[2]}"
[listener.login]
bind = "127.0.0.1:8080"
pool = "connectors"
[pool.connectors]
backends = [{{ name = "c1", url = "http://127.0.0.1:9" }}]
{kerberos(probe.keytab, spn, probe.principal)}
""")
        url = f"ldap://{named.first.address}"
        asked = Asked(config.load(path), path, tmp_path / "admin.sock", (probe.service_keytab,), url)
        checks = [one for one in balancer_checks(asked) if one.area in AREAS]
        results = examine(checks)
        return {one.check.name: [each for each in one.findings if each.outcome is not Outcome.OK] for one in results}

    return look


@pytest.mark.parametrize("name", TABLE)
def test_each_failure_is_named(named: Domain, doctor: Doctor, name: str) -> None:
    row = TABLE[name]
    found = doctor(row.cause(named, f"d-{name}-{next(_numbers)}"))
    wrong = {
        check: [one for one in findings if one.outcome is not Outcome.UNSEEN and "groups" not in one.found]
        for check, findings in found.items()
    }
    assert {check for check, findings in wrong.items() if findings} == set(row.found), found
    for check, words in row.found.items():
        assert any(words in one.found for one in wrong[check]), found[check]
        assert all(one.repair and one.why for one in wrong[check]), found[check]


def test_the_accounts_are_named_with_the_command(named: Domain, doctor: Doctor) -> None:
    [twice] = doctor(causes.spn_on_two_accounts(named, "dt-twice"))["SPN"]
    assert "s-dt-twice (" in twice.found
    assert "t-dt-twice (" in twice.found
    assert twice.repair.startswith("setspn -D HTTP/dt-twice.test ")


def test_the_largest_user_and_a_small_probe(named: Domain, doctor: Doctor) -> None:
    found = doctor(causes.sound(named, "dt-small"))
    assert any("groups, and carol is in 1001" in one.found for one in found["probe's account"]), found


def test_one_of_two_kdcs_is_dead_and_one_is_late(
    named: Domain, doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe = causes.sound(named, "dt-kdcs")
    with named.another_kdc(clock("+900s")) as late:
        conf = named.krb5_conf(named.first.address, late.address, "127.0.0.1:1")
        monkeypatch.setenv("KRB5_CONFIG", str(conf))
        found = [one.found for one in doctor(probe)["kdcs"]]
    assert len(found) == 2
    assert "its clock is 9" in found[0]
    assert found[1] == "127.0.0.1:1: connection refused"
