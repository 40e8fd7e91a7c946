from __future__ import annotations

import socket
from pathlib import Path

import pytest

from lbproxy.doctor.directory.errors import DirectoryError
from lbproxy.doctor.directory.session import Simple, session
from tests.control.probes.kerberos.peers import Corp
from tests.doctor.directory.conftest import Served
from tests.doctor.directory.slapd import BASE, PASSWORD, USER, running
from tests.pki import Authority

OWN = Simple(USER, PASSWORD)


def test_signs_in_over_tls_and_searches(served: Served) -> None:
    with session(served.directory.secret_url, OWN, str(served.authority)) as directory:
        [found] = directory.search(BASE, "(sAMAccountName=svc-auth0)", ["cn", "sAMAccountName"])
        assert found["samaccountname"] == ["svc-auth0"]
        assert directory.search(BASE, "(cn=nobody)", ["cn"]) == []
        assert directory.read(BASE, ["o"])["o"] == ["corp"]


def test_a_wrong_password_is_refused_and_never_told(served: Served) -> None:
    with pytest.raises(DirectoryError) as raised, session(served.directory.url, Simple(USER, "pa55word")):
        pass
    assert raised.value.refused
    assert "pa55word" not in str(raised.value)
    assert "pa55word" not in repr(Simple(USER, "pa55word"))


def test_one_that_is_not_believed(served: Served, tmp_path: Path) -> None:
    other = Authority.root("other").write_certificate(tmp_path / "other.pem")
    with pytest.raises(DirectoryError), session(served.directory.secret_url, OWN, str(other)):
        pass


def test_one_that_is_away(served: Served) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    for url in (f"ldap://127.0.0.1:{port}", "http://127.0.0.1"):
        with pytest.raises(DirectoryError) as raised, session(url, OWN):
            pass
        assert not raised.value.refused


def test_one_that_answers_nothing_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lbproxy.doctor.directory.session.PATIENCE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as sock:
        url = f"ldap://127.0.0.1:{sock.getsockname()[1]}"
        with pytest.raises(DirectoryError, match=r"(?i)time"), session(url, OWN):
            pass


def test_whether_there_is_somebody(served: Served) -> None:
    with session(served.directory.url, OWN) as directory:
        assert directory.holds(BASE, "(objectClass=*)")  # two, so that the limit is met
        assert directory.holds(BASE, "(sAMAccountName=svc-auth0)")
        assert not directory.holds(BASE, "(cn=nobody)")
        assert not directory.holds("DC=other", "(objectClass=*)")
        with pytest.raises(DirectoryError, match="is not there"):
            directory.read("DC=other", ["cn"])


def test_a_filter_that_is_none(served: Served) -> None:
    with session(served.directory.url, OWN) as directory, pytest.raises(DirectoryError):
        directory.search(BASE, "(cn=", ["cn"])


def test_signs_in_with_a_ticket(corp: Corp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keytab = corp.realm.add_service("ldap/localhost")
    corp.realm.add_user("alice", "secret")
    monkeypatch.setenv("KRB5CCNAME", corp.realm.kinit("alice")["KRB5CCNAME"])
    with (
        running(tmp_path / "ldap", Authority.root(), environment={"KRB5_KTNAME": str(keytab)}) as one,
        session(one.url, None) as directory,
    ):
        assert directory.read(BASE, ["o"])["o"] == ["corp"]


def test_without_a_ticket_it_is_refused(
    served: Served, corp: Corp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{tmp_path}/none")
    with pytest.raises(DirectoryError), session(served.directory.url, None):
        pass
