from __future__ import annotations

from pathlib import Path

import pytest

from lbproxy.doctor.directory.errors import DirectoryError
from lbproxy.doctor.directory.questions import escaped, finds_users, look
from tests.control.probes.kerberos.peers import Corp
from tests.doctor.directory.conftest import Served
from tests.doctor.directory.slapd import BASE, PASSWORD, USER, running, user
from tests.pki import Authority

ALL = "(objectClass=person)"


def test_searches_as_a_connector(served: Served) -> None:
    url, pem = served.directory.secret_url, served.authority.read_text()
    assert finds_users(url, USER, PASSWORD, pem, BASE, "(cn=x)", ALL)
    assert not finds_users(url, USER, PASSWORD, pem, f"OU=none,{BASE}", "(cn=x)", ALL)
    with pytest.raises(DirectoryError) as refused:
        finds_users(url, USER, "wrong", pem, BASE, "(cn=x)", ALL)
    assert refused.value.refused


def test_looks_up_all_at_once(corp: Corp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keytab = corp.realm.add_service("ldap/localhost")
    corp.realm.add_user("alice", "secret")
    monkeypatch.setenv("KRB5CCNAME", corp.realm.kinit("alice")["KRB5CCNAME"])
    entries = (
        user("svc", servicePrincipalName="HTTP/a.example") + user("probe", userPrincipalName="p@A") + user("bob", 5)
    )
    with running(tmp_path / "ldap", Authority.root(), entries, {"KRB5_KTNAME": str(keytab)}) as one:
        found = look(one.url, "HTTP/a.example", "p@A")
    assert [holder.short for holder in found.holders] == ["svc"]
    assert found.hosts == []
    assert found.probe is not None
    assert found.probe.short == "probe"
    assert found.largest is not None
    assert (found.largest.name, found.users, found.all_users) == ("bob", 1, True)


def test_what_is_asked_for_is_no_filter() -> None:
    assert escaped("HTTP/a*(b)\\") == r"HTTP/a\2a\28b\29\5c"
