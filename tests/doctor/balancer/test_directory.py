"""A real LDAP server that is asked with a real ticket; its accounts are as Active Directory has them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from lbproxy.doctor.balancer import directory
from lbproxy.doctor.balancer.sight import Sight
from lbproxy.doctor.finding import Finding, Outcome, UnseenError
from tests.control.discovery.name_server import records, serving
from tests.control.probes.kerberos.peers import Corp
from tests.doctor.conftest import Looking, kerberos
from tests.doctor.directory.slapd import running, user
from tests.doctor.looking import only, told
from tests.doctor.servers import limited
from tests.pki import Authority

SPN = "HTTP/login.corp.example"
GOOD: dict[str, Any] = {"servicePrincipalName": SPN, "userAccountControl": 512, "msDS_SupportedEncryptionTypes": 24}
PROBE = user("probe", groups=1, servicePrincipalName="HTTP/probe.corp.example", userAccountControl=512)

At = Callable[..., AbstractAsyncContextManager[Sight]]


@pytest.fixture
def at(look: Looking, corp: Corp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> At:
    """Serves a directory with these entries: what checks look at."""
    keytab = corp.realm.add_service("ldap/localhost")
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{tmp_path}/none")

    @asynccontextmanager
    async def serve(entries: str, **asked: str) -> AsyncIterator[Sight]:
        environment = {"KRB5_KTNAME": str(keytab)}
        with running(tmp_path / "ldap", Authority.root(), entries, environment) as one:
            yield look(pool=kerberos(corp.probe_keytab), **{"ldap": one.url, **asked})

    return serve


async def spn(at: At, entries: str) -> Finding:
    async with at(entries) as sight:
        return only(await directory.spn(sight))


async def test_an_spn_that_one_account_has(at: At) -> None:
    found = await spn(at, user("svc-login", **GOOD))
    assert told([found]) == [f"ok: {SPN} is on one account, svc-login (cn=svc-login,dc=corp,dc=example)"]


async def test_an_spn_that_two_accounts_have(at: At) -> None:
    found = await spn(at, user("svc-login", **GOOD) + user("svc-old", **GOOD))
    assert found.outcome is Outcome.PROBLEM
    assert "is on 2 accounts: svc-login (" in found.found
    assert "svc-old (" in found.found
    assert found.repair.startswith(f"setspn -D {SPN} svc-old")


async def test_an_spn_that_is_missing(at: At) -> None:
    found = await spn(at, user("svc-login"))
    assert (found.outcome, found.found) == (Outcome.PROBLEM, f"no account has {SPN}")


async def test_the_computer_gets_the_tickets_instead(at: At) -> None:
    found = await spn(at, user("LOGIN$", servicePrincipalName="HOST/login.corp.example"))
    assert found.outcome is Outcome.PROBLEM
    assert "tickets go to LOGIN$" in found.found


@pytest.mark.parametrize(
    ("attributes", "outcome", "words"),
    [
        ({"msDS_KeyVersionNumber": 1}, Outcome.OK, "can be used, kvno 1"),
        ({"userAccountControl": 514}, Outcome.PROBLEM, "is disabled"),
        ({"msDS_SupportedEncryptionTypes": 4}, Outcome.WARNING, "has RC4 keys only"),
        ({"msDS_SupportedEncryptionTypes": 0}, Outcome.WARNING, "does not say its encryption types"),
    ],
)
async def test_the_account_of_the_service(at: At, attributes: dict[str, Any], outcome: Outcome, words: str) -> None:
    async with at(user("svc-login", **{**GOOD, **attributes})) as sight:
        found = only(await directory.service(sight))
    assert found.outcome is outcome
    assert words in found.found


async def test_a_controller_that_has_an_old_key_yet(at: At) -> None:
    async with at(user("svc-login", **GOOD, msDS_KeyVersionNumber=7)) as sight:
        found = list(await directory.service(sight))
    assert "has kvno 7, and the KDC makes tickets with kvno 1" in found[0].found


async def test_the_account_of_the_probe(at: At) -> None:
    async with at(PROBE) as sight:
        assert told(await directory.probe(sight)) == ["ok: probe (cn=probe,dc=corp,dc=example) can be used"]


async def test_a_probe_that_is_locked_and_small(at: At) -> None:
    entries = PROBE.replace("\n\n", "\nlockoutTime: 133000000000000000\n\n") + user("bob", groups=1400)
    async with at(entries) as sight:
        found = list(await directory.probe(sight))
    assert [one.outcome for one in found] == [Outcome.PROBLEM, Outcome.WARNING]
    assert "is locked" in found[0].found
    assert "is in 1 groups, and bob is in 1400" in found[1].found


async def test_a_probe_that_is_not_there(at: At) -> None:
    async with at("") as sight:
        assert only(await directory.probe(sight)).outcome is Outcome.PROBLEM


async def test_the_largest_ticket_beside_the_limits_on_the_way(at: At) -> None:
    entries = PROBE + user("bob", groups=1400)
    async with limited(10_000, "Apache") as port, at(entries, backend=f"http://127.0.0.1:{port}") as sight:
        found = only(await directory.tokens(sight))
    assert (found.outcome, found.subject) == (Outcome.PROBLEM, "connectors/c1")
    assert (
        "bob is in 1400 groups, the most of 2 users: a header of some 16796 bytes; it takes 8192 bytes" in found.found
    )
    assert "LimitRequestFieldSize" in found.repair


async def test_tickets_that_fit(at: At) -> None:
    async with at(PROBE) as sight:
        assert only(await directory.tokens(sight)).outcome is Outcome.OK


async def test_it_is_found_by_dns(at: At, look: Looking, corp: Corp) -> None:
    async with at(PROBE) as first:
        port = first.asked.ldap.rpartition(":")[2]
        line = f"_ldap._tcp.dc._msdcs.CORP.EXAMPLE. 60 IN SRV 0 0 {port} localhost."
        async with serving(lambda query: records(query, line)) as server:
            sight = look(pool=kerberos(corp.probe_keytab), nameserver=server.port)
            assert (await directory.known(sight)).url == f"ldap://localhost:{port}"


async def test_a_probe_that_cannot_sign_in_cannot_ask(at: At, corp: Corp) -> None:
    async with at(PROBE) as sight:
        corp.realm.rotate("HTTP/probe.corp.example")
        with pytest.raises(UnseenError, match="no ticket to ask the directory with") as raised:
            await directory.spn(sight)
    assert raised.value.repair == "kinit ANY_USER@CORP.EXAMPLE, and run doctor again"


async def test_the_ticket_of_who_runs_doctor_comes_first(at: At, corp: Corp, monkeypatch: pytest.MonkeyPatch) -> None:
    async with at(PROBE.replace("512", "514")) as sight:
        corp.realm.add_user("alice", "secret")
        monkeypatch.setenv("KRB5CCNAME", corp.realm.kinit("alice")["KRB5CCNAME"])
        corp.realm.rotate("HTTP/probe.corp.example")
        assert directory.has_ticket()
        assert "is disabled" in only(await directory.probe(sight)).found


async def test_one_that_is_away_is_not_seen(at: At) -> None:
    async with at(PROBE, ldap="ldap://127.0.0.1:1") as sight:
        with pytest.raises(UnseenError, match=r"ldap://127\.0\.0\.1:1: "):
            await directory.spn(sight)
