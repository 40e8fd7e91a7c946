from __future__ import annotations

import gc
from base64 import b64encode
from typing import Any

import pytest

from lbproxy.demo.acceptor import Step
from lbproxy.demo.identity import Connection, Connections, Gate, PeerCertificate, Verdict, negotiate_token

ALICE = Step(user="alice", reply=b"proof")
MORE = Step(reply=b"more")
REFUSED = Step(refused="a replay")


class ScriptedAcceptor:
    """Exchanges whose steps are written down: script["name"] is what the token `name` leads to."""

    def __init__(self, **script: Step) -> None:
        self.script = script
        self.exchanges: list[list[str]] = []

    def exchange(self) -> Any:
        self.exchanges.append([])
        return ScriptedExchange(self.script, self.exchanges[-1])


class ScriptedExchange:
    def __init__(self, script: dict[str, Step], taken: list[str]) -> None:
        self.script = script
        self.taken = taken

    def step(self, token: bytes) -> Step:
        self.taken.append(token.decode())
        return self.script[token.decode()]


def negotiate(token: str) -> str:
    return f"Negotiate {b64encode(token.encode()).decode()}"


def gate(binds: bool = False, **script: Step) -> Gate:
    return Gate(ScriptedAcceptor(**script), binds)  # type: ignore[arg-type]


def test_nobody_without_credentials() -> None:
    assert gate().judge(Connection(1), None, None) == Verdict(user=None, how="nothing")


def test_a_ticket() -> None:
    verdict = gate(a=ALICE).judge(Connection(1), negotiate("a"), None)
    assert verdict == Verdict("alice", "kerberos", negotiate("proof"))


def test_a_refused_ticket_gets_no_token_back() -> None:
    verdict = gate(a=REFUSED).judge(Connection(1), negotiate("a"), None)
    assert verdict == Verdict(None, "nothing", None, "a replay")


@pytest.mark.parametrize("value", ["Negotiate", "Negotiate not base64!"])
def test_a_missing_token_is_refused_before_the_acceptor(value: str) -> None:
    verdict = gate().judge(Connection(1), value, None)
    assert verdict == Verdict(refused="no token after Negotiate")


def test_a_ticket_counts_more_than_a_certificate() -> None:
    assert gate(a=ALICE).judge(Connection(1), negotiate("a"), "bob").user == "alice"


def test_a_certificate() -> None:
    assert gate().judge(Connection(1), None, "bob") == Verdict("bob", "certificate")


def test_without_kerberos_a_ticket_means_nothing() -> None:
    assert Gate(None, False).judge(Connection(1), negotiate("a"), None) == Verdict()


def test_an_identity_is_forgotten_with_its_request() -> None:
    door, connection = gate(a=ALICE), Connection(1)
    door.judge(connection, negotiate("a"), None)
    assert door.judge(connection, None, None).user is None


def test_a_bound_identity_stays_on_its_connection_and_on_no_other() -> None:
    door, connection = gate(binds=True, a=ALICE), Connection(1)
    door.judge(connection, negotiate("a"), None)
    assert door.judge(connection, None, None) == Verdict("alice", "connection")
    assert door.judge(Connection(2), None, None).user is None


def test_a_refused_ticket_ends_the_bound_identity() -> None:
    door, connection = gate(binds=True, a=ALICE, b=REFUSED), Connection(1)
    door.judge(connection, negotiate("a"), None)
    door.judge(connection, negotiate("b"), None)
    assert door.judge(connection, None, None).user is None


def test_an_exchange_of_two_legs_goes_on_where_it_began() -> None:
    acceptor = ScriptedAcceptor(first=MORE, second=ALICE)
    door, connection, other = Gate(acceptor, False), Connection(1), Connection(2)  # type: ignore[arg-type]
    assert door.judge(connection, negotiate("first"), None) == Verdict(challenge=negotiate("more"))
    door.judge(other, negotiate("first"), None)
    assert door.judge(connection, negotiate("second"), None).user == "alice"
    door.judge(connection, negotiate("first"), None)
    assert acceptor.exchanges == [["first", "second"], ["first"], ["first"]]


@pytest.mark.parametrize(
    ("value", "token"),
    [
        (None, None),
        ("", None),
        ("Basic YTpi", None),
        ("NTLM TlRMTVNTUAAB", None),
        ("Negotiate YWJj", b"abc"),
        ("NEGOTIATE  YWJj ", b"abc"),
        ("Negotiate", b""),
        ("Negotiate not base64!", b""),
    ],
)
def test_the_token_of_an_authorization_value(value: str | None, token: bytes | None) -> None:
    assert negotiate_token(value) == token


CORP = (("organizationName", "Corp"),)
FOUND = {
    "subject": (CORP, (("commonName", "alice"),)),
    "issuer": ((("commonName", "users"),),),
    "notAfter": "Jan  1 00:00:10 1970 GMT",
}


def test_what_a_certificate_tells() -> None:
    assert PeerCertificate.of(FOUND) == PeerCertificate("alice", "users", 10)


def test_a_certificate_without_a_common_name() -> None:
    assert PeerCertificate.of({**FOUND, "subject": (CORP,)}) == PeerCertificate(None, "users", 10)


@pytest.mark.parametrize("nothing", [None, {}])  # {}: there is one, which was not verified
def test_no_certificate(nothing: dict[str, str] | None) -> None:
    assert PeerCertificate.of(nothing) == PeerCertificate()


class Transport:
    pass


def test_connections_are_numbered_and_count_their_requests() -> None:
    connections, first, second = Connections(), Transport(), Transport()
    seen = [connections.request_on(transport) for transport in (first, second, first)]
    assert [connection.number for connection in seen] == [1, 2, 1]
    assert seen[0].requests == 2


def test_a_closed_connection_is_forgotten() -> None:
    connections = Connections()
    connections.request_on(Transport())
    gc.collect()
    assert len(connections._known) == 0
