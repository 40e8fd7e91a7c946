from __future__ import annotations

from pathlib import Path

import pytest

from lbproxy.doctor.balancer.realm import configuration, find_kdcs, kdcs
from lbproxy.doctor.finding import Outcome
from tests.control.discovery.name_server import records, serving
from tests.control.probes.kerberos.peers import Corp, clock
from tests.doctor.conftest import Looking, kerberos
from tests.doctor.looking import only, told


def conf(monkeypatch: pytest.MonkeyPatch, path: Path, text: str) -> None:
    path.write_text(text)
    monkeypatch.setenv("KRB5_CONFIG", str(path))


def test_one_that_takes_names_as_written(look: Looking, corp: Corp) -> None:
    found = only(configuration(look(pool=kerberos(corp.probe_keytab))))
    assert found.outcome is Outcome.OK
    assert found.found.endswith("krb5.conf: names are taken as written, and CORP.EXAMPLE is known")


def test_the_defaults_of_mit_look_names_up(look: Looking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    conf(monkeypatch, tmp_path / "krb5.conf", "[libdefaults]\ndefault_realm = OTHER.EXAMPLE\ndns_lookup_kdc = no\n"
         "permitted_enctypes = rc4-hmac\n")  # fmt: skip
    assert told(configuration(look(pool=kerberos(tmp_path / "k")))) == [
        "warning: dns_canonicalize_hostname is true, which is its default",
        "warning: rdns is true, which is its default",
        "problem: CORP.EXAMPLE has no kdc, and dns_lookup_kdc is false",
        "warning: default_realm is OTHER.EXAMPLE, and the probe's realm is CORP.EXAMPLE",
        "warning: permitted_enctypes has no AES: rc4-hmac",
    ]


def test_one_that_is_not_there(look: Looking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KRB5_CONFIG", str(tmp_path / "none"))
    found = told(configuration(look(pool=kerberos(tmp_path / "k"))))
    assert found[0] == f"warning: {tmp_path}/none: No such file or directory"


async def test_a_kdc_and_its_clock(look: Looking, corp: Corp) -> None:
    corp.kadmin_talks("modprinc +requires_preauth HTTP/probe.corp.example")
    sight = look(pool=kerberos(corp.probe_keytab))
    assert only(await kdcs(sight)).outcome is Outcome.OK
    corp.restart_kdc(clock("+90s"))
    assert only(await kdcs(sight)).outcome is Outcome.WARNING
    corp.restart_kdc(clock("-600s"))
    found = only(await kdcs(sight))
    assert found.outcome is Outcome.PROBLEM
    assert "s behind this host's" in found.found


async def test_one_of_two_that_is_dead_makes_sign_ins_wait(look: Looking, corp: Corp) -> None:
    path = Path(corp.realm.env["KRB5_CONFIG"])
    path.write_text(path.read_text().replace("    kdc =", "    kdc = 127.0.0.1:1\n    kdc ="))
    dead, alive = await kdcs(look(pool=kerberos(corp.probe_keytab)))
    assert (dead.outcome, dead.found) == (Outcome.WARNING, "127.0.0.1:1: connection refused")
    assert "Sign-ins wait" in dead.why
    assert alive.outcome is Outcome.OK


async def test_all_dead_is_a_problem(look: Looking, corp: Corp) -> None:
    corp.realm.stop()
    assert only(await kdcs(look(pool=kerberos(corp.probe_keytab)))).outcome is Outcome.PROBLEM


async def test_kdcs_of_dns(look: Looking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    conf(monkeypatch, tmp_path / "krb5.conf", "[libdefaults]\n")
    lines = [
        f"_kerberos._tcp.CORP.EXAMPLE. 60 IN SRV {priority} 0 88 dc{priority}.corp.example." for priority in (2, 1)
    ]
    async with serving(lambda query: records(query, *lines)) as server:
        found = await find_kdcs(look(nameserver=server.port), "CORP.EXAMPLE")
    assert [str(one) for one in found] == ["dc1.corp.example:88", "dc2.corp.example:88"]


async def test_no_kdc_at_all(look: Looking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    conf(monkeypatch, tmp_path / "krb5.conf", "[libdefaults]\n")
    async with serving(records) as server:
        found = only(await kdcs(look(pool=kerberos(tmp_path / "k"), nameserver=server.port)))
    assert found.outcome is Outcome.PROBLEM
    assert "dig SRV _kerberos._tcp.CORP.EXAMPLE" in found.repair
