from __future__ import annotations

import sys
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import pytest

from lbproxy.demo.acceptor import Acceptor
from lbproxy.demo.realm import Realm
from lbproxy.errors import MissingExtraError, StartError

from .peers import HOST, Ticket

Login = Callable[..., Ticket]


def test_a_ticket_names_its_user_and_the_user_can_verify_the_server(login: Login, keytab: Path) -> None:
    ticket = login("alice")
    step = Acceptor(keytab, HOST).exchange().step(ticket.token)
    assert step.user == "alice@CORP.EXAMPLE"
    assert step.reply is not None
    assert ticket.verify(f"Negotiate {b64encode(step.reply).decode()}")


def test_a_replayed_ticket_is_refused(login: Login, keytab: Path) -> None:
    acceptor, ticket = Acceptor(keytab, HOST), login()
    assert acceptor.exchange().step(ticket.token).user
    again = acceptor.exchange().step(ticket.token)
    assert again.user is None
    assert "Request is a replay" in again.refused


def test_without_a_host_any_key_of_the_keytab_serves(login: Login, keytab: Path) -> None:
    assert Acceptor(keytab).exchange().step(login().token).user == "alice@CORP.EXAMPLE"


def test_a_ticket_for_another_service_is_refused(login: Login, in_realm: Realm, keytab: Path) -> None:
    in_realm.add_service("HTTP/elsewhere.corp.example")
    step = Acceptor(keytab, HOST).exchange().step(login(host="elsewhere.corp.example").token)
    assert step.user is None
    assert step.refused


def test_a_stale_keytab_refuses_new_tickets(login: Login, in_realm: Realm) -> None:
    stale = in_realm.add_service("HTTP/moved.corp.example")
    fresh = in_realm.rotate("HTTP/moved.corp.example")
    assert Acceptor(stale).exchange().step(login(host="moved.corp.example").token).refused
    assert Acceptor(fresh).exchange().step(login(host="moved.corp.example").token).user


@pytest.mark.parametrize("token", [b"NTLMSSP\0\1\0\0\0", b"\x60\x03junk", bytes(2000)])
def test_what_is_no_ticket_is_refused(in_realm: Realm, keytab: Path, token: bytes) -> None:
    step = Acceptor(keytab, HOST).exchange().step(token)
    assert step.user is None
    assert step.refused


def test_a_keytab_that_is_not_there(in_realm: Realm, tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"missing\.keytab"):
        Acceptor(tmp_path / "missing.keytab", HOST)


def test_without_gssapi_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "gssapi", None)  # what an import of a missing package meets
    with pytest.raises(MissingExtraError, match=r"install lbproxy\[kerberos\]"):
        Acceptor(tmp_path / "any.keytab")
