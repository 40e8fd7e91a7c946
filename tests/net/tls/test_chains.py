from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from lbproxy.auth.certificate import ClientCertificate
from lbproxy.net.tls import ClientPolicy, ServerTls, chains
from lbproxy.net.tls.chains import Chains, verified_chain
from tests.net.tls.terminal import Ends, browser
from tests.pki import Authority, write_bundle

ROOT = Authority.root()
USERS = ROOT.intermediate("users")
ALICE = USERS.issue("alice")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_verified_chain_ends_with_what_is_trusted(tmp_path: Path, version: ssl.TLSVersion) -> None:
    """The client sends neither the root nor always the right order; a session that is resumed has no chain."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    login = ROOT.server("login.corp.example").write(tmp_path, "login")
    server.load_cert_chain(login.chain, login.key)
    server.load_verify_locations(cadata=ROOT.chain[0])
    server.verify_mode = ssl.CERT_OPTIONAL
    client = browser(ALICE, at=tmp_path, maximum_version=version)
    with Ends(server, client) as first:
        assert verified_chain(first.server) == ALICE.chain
        session = first.exchange()
    with Ends(server, client, session=session) as again:
        assert again.server.session_reused
        assert verified_chain(again.server) == ()
    with Ends(server, browser()) as nobody:
        assert verified_chain(nobody.server) == ()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("asks", [True, False], ids=["client certificates", "none"])
def test_another_process_has_no_chain(tmp_path: Path, version: ssl.TLSVersion, asks: bool) -> None:
    """Nor is it in a session's ticket: such a client shows its certificate again, and is not refused."""
    login = ROOT.server("login.corp.example").write(tmp_path, "login")
    policy = ClientPolicy(True, write_bundle(tmp_path / "ca.pem", ROOT)) if asks else None
    one, other = (ServerTls([(login.chain, login.key)], "1.2", policy, [b"secret"]) for _ in range(2))
    client = browser(ALICE, at=tmp_path, maximum_version=version)
    with Ends(one.context, client) as first:
        known = one.verify(first.server)
        session = first.exchange()
    for tls, resumed in ((one, True), (other, not asks)):
        with Ends(tls.context, client, session=session) as again:
            assert again.server.session_reused is resumed
            assert tls.verify(again.server) == known


def test_reads_a_chain_once() -> None:
    known = Chains()
    first = known.verified(ALICE.chain)
    assert first == ClientCertificate.from_chain(ALICE.chain)
    assert known.verified(tuple(bytes(bytearray(der)) for der in ALICE.chain)) is first
    assert known.resumed(ALICE.chain[0]) is first
    assert repr(known) == "<chains of 1 issuers, 1 certificates kept>"


def test_a_chain_that_changed_is_read_again() -> None:
    """The authorities were renewed with the same key, and the user's certificate stayed."""
    known = Chains()
    known.verified(ALICE.chain)
    shorter = ALICE.chain[:2]
    assert known.verified(shorter).chain == shorter
    assert known.resumed(ALICE.chain[0]) == ClientCertificate.from_chain(shorter)


def test_a_resumed_session_gets_the_chain_of_its_issuer(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many users there are."""
    monkeypatch.setattr(chains, "CACHE_SIZE", 2)
    known = Chains()
    for name in ("alice", "bob", "carol"):
        known.verified(USERS.issue(name).chain)
    dave = USERS.issue("dave")
    assert known.resumed(dave.chain[0]) == ClientCertificate.from_chain(dave.chain)
    assert repr(known) == "<chains of 1 issuers, 2 certificates kept>"


def test_two_issuers_of_one_name_are_two() -> None:
    renewed = ROOT.intermediate("users")
    known = Chains()
    known.verified(ALICE.chain)
    assert known.resumed(renewed.issue("bob").chain[0]) is None
    known.verified(renewed.issue("carol").chain)
    carol = renewed.issue("carol")
    assert known.resumed(carol.chain[0]) == ClientCertificate.from_chain(carol.chain)
    assert known.resumed(ALICE.chain[0]) == ClientCertificate.from_chain(ALICE.chain)


def test_an_unknown_issuer_is_no_chain() -> None:
    assert Chains().resumed(ALICE.chain[0]) is None
