"""Tickets of a real KDC."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import gssapi
import pytest

from lbproxy.dashboard.kerberos import Acceptor, challenge, token_of
from lbproxy.demo.realm import Realm

HOST = "admin.corp.example"


@pytest.fixture(scope="module")
def realm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Realm]:
    with Realm(tmp_path_factory.mktemp("realm")) as realm:
        realm.add_users({"olga": "olga's"})
        yield realm


@pytest.fixture(scope="module")
def service(realm: Realm) -> Path:
    return realm.add_service(f"HTTP/{HOST}")


@pytest.fixture
def keytab(realm: Realm, service: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in (realm.kinit("olga") | realm.acceptor_env("pytest")).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("KRB5RCACHENAME", f"file2:{tmp_path}/rcache")
    assert os.environ["KRB5CCNAME"]
    return service


def token(binding: bytes | None = None, to: str = f"HTTP@{HOST}") -> bytes:
    """What a browser sends."""
    name = gssapi.Name(to, gssapi.NameType.hostbased_service)
    bound = None
    if binding is not None:
        bound = gssapi.raw.ChannelBindings(application_data=b"tls-server-end-point:" + binding)
    spnego = gssapi.OID.from_int_seq("1.3.6.1.5.5.2")
    context = gssapi.SecurityContext(name=name, usage="initiate", mech=spnego, channel_bindings=bound)
    made = context.step()
    assert isinstance(made, bytes)
    return made


def test_a_ticket_says_who_it_is_once(realm: Realm, keytab: Path) -> None:
    acceptor, one = Acceptor(keytab), token()
    answer = acceptor.accept(one)
    assert (answer.principal, answer.refused) == (f"olga@{realm.name}", "")
    assert answer.reply
    assert acceptor.accept(one).refused, "it was replayed"
    assert acceptor.accept(token()).principal


def test_a_token_for_another_certificate_is_refused(keytab: Path) -> None:
    ours, theirs = b"o" * 32, b"t" * 32
    acceptor = Acceptor(keytab, ours)
    assert acceptor.accept(token(ours)).principal
    assert acceptor.accept(token()).principal, "a browser that binds nothing"
    assert acceptor.accept(token(theirs)).refused


def test_a_ticket_for_another_service_of_the_keytab_is_refused(realm: Realm, keytab: Path, tmp_path: Path) -> None:
    """Whoever runs that service gets tokens of users, and could show them here."""
    of_other = realm.add_service("HTTP/login.corp.example").read_bytes()
    of_host = realm.add_service(f"host/{HOST}").read_bytes()
    both = tmp_path / "both.keytab"
    both.write_bytes(keytab.read_bytes() + of_other[2:] + of_host[2:])  # after two bytes of the format's version
    acceptor = Acceptor(both, is_ours=lambda host: host == HOST)
    assert acceptor.accept(token()).principal
    for other in ("HTTP@login.corp.example", f"host@{HOST}"):
        answer = acceptor.accept(token(to=other))
        assert not answer.principal
        assert answer.refused.startswith(f"the ticket is for {other.replace('@', '/')}@{realm.name}, and not for HTTP")


@pytest.mark.parametrize("bad", [b"", b"x", b"NTLMSSP\0\1\0\0\0", b"\x60\x03\x06\x01\x00", b"\0" * 70_000])
def test_what_is_no_ticket_is_refused(keytab: Path, bad: bytes) -> None:
    answer = Acceptor(keytab).accept(bad)
    assert answer.refused
    assert not answer.principal


def test_a_keytab_that_is_of_no_use_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none\.keytab: no such file"):
        Acceptor(tmp_path / "none.keytab")
    (tmp_path / "bad.keytab").write_text("bad")
    with pytest.raises(ValueError, match=r"bad\.keytab: "):
        Acceptor(tmp_path / "bad.keytab")


def test_the_header() -> None:
    assert token_of("Negotiate eA==") == b"x"
    assert token_of("negotiate  eA== ") == b"x"
    assert token_of("Basic eA==") is None
    assert token_of("") is None
    with pytest.raises(ValueError, match="not base64"):
        token_of("Negotiate !")
    assert (challenge(), challenge(b"x")) == ("Negotiate", "Negotiate eA==")
