from __future__ import annotations

import logging
import socket
import ssl
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from lbproxy import reasons
from lbproxy.net.tls import ClientPolicy, ClientRefused, ServerTls
from tests.net.tls.terminal import NAME, Ends, Server, Terminal, browser, finish, listener, replace, s_client
from tests.pki import DAY, HOUR, Authority, Files, Holder, foreign_text, pem, unreadable, write_bundle, write_crls

ROOT = Authority.root()
USERS = ROOT.intermediate("users")
ALICE = USERS.issue("alice")


def renew(files: Files, leaf: Holder) -> None:
    """Write a certificate over an earlier one."""
    replace(files.chain, leaf.chain_pem)
    replace(files.key, leaf.key_pem)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    made = Files(tmp_path / "login.pem", tmp_path / "login.key")
    renew(made, ROOT.server(NAME))
    return made


def shown(tls: ServerTls, name: str | None = NAME) -> bytes | None:
    """The certificate that a client gets."""
    with Ends(tls.context, browser(), name) as ends:
        return ends.client.getpeercert(binary_form=True)


# --- what is offered


def test_offers_only_http_1(files: Files) -> None:
    client = browser(trusts=ROOT)
    client.set_alpn_protocols(["h2", "http/1.1"])
    tls = listener(files)
    with Ends(tls.context, client) as ends:
        assert ends.client.selected_alpn_protocol() == "http/1.1"
        assert tls.verify(ends.server) is None, "no certificate is asked for"
    assert repr(tls) == f"<server TLS {files.chain}>"


@pytest.mark.parametrize(
    ("minimum", "offered", "accepted"),
    [
        ("1.2", ssl.TLSVersion.TLSv1_2, "TLSv1.2"),
        ("1.2", ssl.TLSVersion.TLSv1_3, "TLSv1.3"),
        ("1.3", ssl.TLSVersion.TLSv1_3, "TLSv1.3"),
        ("1.3", ssl.TLSVersion.TLSv1_2, None),
    ],
)
def test_versions(files: Files, minimum: str, offered: ssl.TLSVersion, accepted: str | None) -> None:
    tls = listener(files, minimum=minimum)
    client = browser(trusts=ROOT, maximum_version=offered)
    if accepted is None:
        with pytest.raises(ssl.SSLError):
            Ends(tls.context, client)
    else:
        with Ends(tls.context, client) as ends:
            assert ends.client.version() == accepted


@pytest.mark.parametrize(
    ("cipher", "accepted"),
    [
        ("ECDHE-ECDSA-AES128-GCM-SHA256", True),
        ("ECDHE-ECDSA-CHACHA20-POLY1305", True),
        ("ECDHE-ECDSA-AES128-SHA256", False),
        ("ECDHE-ECDSA-AES256-SHA", False),
        ("ECDHE-ECDSA-AES256-CCM8", False),
    ],
)
def test_only_authenticated_encryption(files: Files, cipher: str, accepted: bool) -> None:
    """RFC 9325 section 4.2."""
    client = browser(maximum_version=ssl.TLSVersion.TLSv1_2)
    client.set_ciphers(cipher)
    if accepted:
        with Ends(listener(files).context, client) as ends:
            found = ends.client.cipher()
        assert found is not None
        assert found[0] == cipher
    else:
        with pytest.raises(ssl.SSLError):
            Ends(listener(files).context, client)


def test_one_ticket_a_handshake(files: Files) -> None:
    with Terminal(listener(files)) as terminal:
        said = s_client(terminal.port, "-tls1_3")
    assert said.count("New Session Ticket arrived") == 1


# --- several certificates

LOGIN, WILD, OTHER = ROOT.server(NAME), ROOT.server("*.wild.test", NAME), ROOT.server("a.wild.test", "Other.Test")


@pytest.mark.parametrize(
    ("asked", "certificate"),
    [
        (NAME, LOGIN),
        ("LOGIN.corp.example", LOGIN),
        ("other.test", OTHER),
        ("b.wild.test", WILD),
        ("a.wild.test", OTHER),
        ("a.b.wild.test", LOGIN),
        ("wild.test", LOGIN),
        ("*.wild.test", WILD),
        ("unknown.test", LOGIN),
        ("not a name at all", LOGIN),
        ("-", LOGIN),
        (".".join(["a" * 60] * 4), LOGIN),
        (None, LOGIN),
    ],
)
def test_the_name_chooses_the_certificate(tmp_path: Path, asked: str | None, certificate: Holder) -> None:
    """Names are compared in lower case, the first certificate is the default, a wildcard is one label."""
    pairs = [holder.write(tmp_path, name) for name, holder in (("login", LOGIN), ("wild", WILD), ("other", OTHER))]
    tls = listener(*pairs)
    with Ends(tls.context, browser(), asked) as ends:
        assert ends.client.getpeercert(binary_form=True) == certificate.chain[0]
        assert ends.server.requested_name == (asked and asked.lower())


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize("certificates", [1, 2])
def test_the_name_is_known_of_a_resumed_session_too(
    tmp_path: Path, files: Files, version: str, certificates: int
) -> None:
    session = tmp_path / "session"
    with Terminal(listener(*[files, OTHER.write(tmp_path, "other")][:certificates])) as terminal:
        for given in ("-sess_out", "-sess_in"):
            s_client(terminal.port, version, "-servername", "A.wild.test", given, session)
            outcome = terminal.outcome()
            assert (outcome.name, outcome.resumed) == ("a.wild.test", given == "-sess_in")


@pytest.mark.parametrize("direct", [True, False], ids=["direct", "by Python"])
def test_the_name_chooses_however_openssl_is_called(tmp_path: Path, files: Files, direct: bool) -> None:
    tls = listener(files, OTHER.write(tmp_path, "other"))
    near, far = socket.socketpair()
    near.setblocking(False)
    far.setblocking(False)
    with (
        Server(far.detach(), tls.context, direct) as here,
        browser().wrap_socket(near, server_hostname="Other.test", do_handshake_on_connect=False) as there,
    ):
        finish(there, here)
        assert there.getpeercert(binary_form=True) == OTHER.chain[0]
        assert (here.direct, here.requested_name) == (direct, "other.test")


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_an_address_is_no_name(files: Files, address: str) -> None:
    with Terminal(listener(files)) as terminal:
        s_client(terminal.port, "-servername", address)
        assert terminal.outcome().name is None


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_a_name_that_is_not_ascii_is_not_known(files: Files, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    """Python itself would fail on it, before it asks us, and say so to the hook for what cannot be raised."""
    unraisable: list[object] = []
    monkeypatch.setattr("sys.unraisablehook", lambda found: unraisable.append(found.exc_type))
    with Terminal(listener(files)) as terminal:
        for name in ("a\udcff.test", "m\u00fcller.test", "\udcff"):
            assert "SSL alert number 112" in s_client(terminal.port, version, "-servername", name)
            assert terminal.outcome().reason is reasons.TLS_FAILED
        assert unraisable == []
        assert "204 No Content" in s_client(terminal.port, "-servername", "a\x01\n.test")
        assert terminal.outcome().name == "a\x01\n.test"


def test_a_chosen_certificate_changes_no_policy(tmp_path: Path, files: Files) -> None:
    other = ROOT.server("other.test").write(tmp_path, "other")
    policy = ClientPolicy(True, write_bundle(tmp_path / "ca.pem", ROOT))
    tls = listener(files, other, policy=policy)
    with Ends(tls.context, browser(ALICE, at=tmp_path), "other.test") as ends:
        alice = tls.verify(ends.server)
        assert alice is not None
        assert alice.chain == ALICE.chain
    with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN_A_CERTIFICATE"):
        Ends(tls.context, browser(), "other.test")
    with pytest.raises(ssl.SSLCertVerificationError):
        Ends(tls.context, browser(Authority.root().issue("eve"), at=tmp_path), "other.test")


def test_names_itself_by_the_uri_of_the_default_certificate(tmp_path: Path) -> None:
    plain = ROOT.server(NAME).write(tmp_path, "plain")
    named = ROOT.issue(NAME, dns=[NAME], uris=["spiffe://corp/login", "urn:x"]).write(tmp_path, "named")
    assert listener(named, plain).uri == "spiffe://corp/login"
    assert listener(plain, named).uri is None


# --- files that change


def test_a_new_certificate_is_picked_up(files: Files) -> None:
    tls = listener(files)
    before = tls.context
    assert not tls.refresh()
    assert tls.context is before
    renewed = ROOT.server(NAME)
    renew(files, renewed)
    assert tls.refresh()
    assert shown(tls) == renewed.chain[0]
    assert not tls.refresh()


@pytest.mark.parametrize("broken", ["half a renewal", "an empty chain", "no key"])
def test_files_that_cannot_be_used_leave_the_old_ones(
    files: Files, caplog: pytest.LogCaptureFixture, broken: str
) -> None:
    tls, began = listener(files), time.time()
    assert tls.refused is None
    before = shown(tls)
    if broken == "an empty chain":
        replace(files.chain, b"")
    elif broken == "no key":
        files.key.unlink()
    else:
        replace(files.chain, ROOT.server(NAME).chain_pem)
    assert not tls.refresh()
    assert not tls.refresh()
    assert shown(tls) == before
    events = [(record.levelno, record.message) for record in caplog.records]
    assert events == [(logging.ERROR, "certificate_kept")], "said once"
    assert tls.refused is not None
    assert str(files.key if broken == "no key" else files.chain) in tls.refused.why
    assert began <= tls.refused.since <= time.time()
    renewed = ROOT.server(NAME)
    renew(files, renewed)
    assert tls.refresh()
    assert tls.refused is None
    assert shown(tls) == renewed.chain[0]


def test_files_are_refused_since_the_first_time(files: Files) -> None:
    tls = listener(files)
    replace(files.chain, b"")
    assert not tls.refresh()
    first = tls.refused
    replace(files.chain, ROOT.server(NAME).chain_pem)
    assert not tls.refresh()
    assert first is not None
    assert tls.refused is not None
    assert (tls.refused.since, tls.refused.why != first.why) == (first.since, True)


@pytest.mark.parametrize("broken", [unreadable("name constraint"), unreadable("TLS feature"), foreign_text()])
def test_authorities_that_cannot_be_used_leave_the_old_ones(
    files: Files, tmp_path: Path, caplog: pytest.LogCaptureFixture, broken: bytes
) -> None:
    """Whichever library stumbles over them."""
    ca = ROOT.write_certificate(tmp_path / "users.pem")
    tls = ServerTls([(files.chain, files.key)], "1.2", ClientPolicy(True, ca))
    before = tls.context
    replace(ca, broken)
    assert not tls.refresh()
    assert tls.context is before
    assert [record.message for record in caplog.records] == ["certificate_kept"]


def test_files_that_cannot_be_used_are_no_start(files: Files) -> None:
    files.key.unlink()
    with pytest.raises(ValueError, match=r"login\.key: No such file"):
        listener(files)


def test_tells_what_is_in_use_and_when_it_ends(tmp_path: Path, files: Files) -> None:
    ca = write_bundle(tmp_path / "ca.pem", USERS)
    crl = write_crls(tmp_path / "users.crl", USERS.crl())
    tls = listener(files, policy=ClientPolicy(False, ca, (crl,)))
    assert [(each.kind, each.path, each.name) for each in tls.expiries()] == [
        ("certificate", files.chain, f"CN={NAME}"),
        ("client_ca", ca, "CN=users"),
        ("crl", crl, "CN=users"),
    ]
    end = USERS.certificate.not_valid_after_utc.timestamp()
    assert tls.expiries()[1].ends == end


# --- clients: revoked within one look at the files


class Door:
    """A listener that asks for certificates, with its files."""

    def __init__(self, directory: Path, files: Files) -> None:
        self.ca = write_bundle(directory / "ca.pem", ROOT)
        self.crl = directory / "users.crl"
        self.revoke()
        self.tls = listener(files, policy=ClientPolicy(True, self.ca, (self.crl,)))

    def revoke(self, *users: Holder, next_update: timedelta = DAY) -> None:
        write_crls(self.crl, ROOT.crl(), USERS.crl(*users, next_update=next_update))
        replace(self.crl, self.crl.read_bytes())


VERSIONS = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])


@pytest.fixture
def door(tmp_path: Path, files: Files) -> Door:
    return Door(tmp_path, files)


@pytest.fixture
def alice(tmp_path: Path) -> Callable[[ssl.TLSVersion], ssl.SSLContext]:
    return lambda version: browser(ALICE, at=tmp_path, maximum_version=version)


Client = Callable[[ssl.TLSVersion], ssl.SSLContext]


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize("asks", [True, False], ids=["client certificates", "none"])
def test_a_session_resumes_on_its_own_listener_only(
    door: Door, files: Files, tmp_path: Path, version: str, asks: bool
) -> None:
    """Though the other one is set up alike. Then the certificate is revoked, and the session is worth nothing."""
    session, who = tmp_path / "session", ALICE.write(tmp_path, "alice")
    tls, another = (door.tls, Door(tmp_path, files).tls) if asks else (listener(files), listener(files))
    with Terminal(tls) as here, Terminal(another) as there:
        s_client(here.port, version, "-sess_out", session, who=who)
        assert not here.outcome().resumed
        for terminal, resumed in ((here, True), (there, False), (here, True)):
            s_client(terminal.port, version, "-sess_in", session, who=who)
            outcome = terminal.outcome()
            assert outcome.resumed is resumed
            assert outcome.reason is None
            assert (outcome.certificate is not None) is asks
        if asks:
            door.revoke(ALICE)
            assert tls.refresh()
            s_client(here.port, version, "-sess_in", session, who=who)
            assert here.outcome().reason is reasons.CLIENT_CERT_REVOKED


@VERSIONS
def test_a_session_that_is_resumed_is_the_users(door: Door, alice: Client, version: ssl.TLSVersion) -> None:
    client = alice(version)
    with Ends(door.tls.context, client) as first:
        known = door.tls.verify(first.server)
        session = first.exchange()
    with Ends(door.tls.context, client, session=session) as again:
        assert again.server.session_reused
        assert known is not None
        assert door.tls.verify(again.server) == known


@VERSIONS
def test_a_revoked_certificate_is_out_with_the_next_list(door: Door, alice: Client, version: ssl.TLSVersion) -> None:
    """On kept connections, on resumed sessions, in handshakes that are under way, and on new connections."""
    client = alice(version)
    with Ends(door.tls.context, client) as first:
        kept = door.tls.verify(first.server)
        session = first.exchange()
    assert kept is not None
    now = kept.not_after - 3600
    with Ends(door.tls.context, client, session=session) as under_way:
        assert door.tls.still_good(kept, now) is None
        door.revoke(ALICE)
        assert door.tls.refresh()
        assert door.tls.still_good(kept, now) is reasons.CLIENT_CERT_REVOKED
        assert under_way.server.session_reused
        with pytest.raises(ClientRefused, match="a session from before client_ca or client_crl changed"):
            door.tls.verify(under_way.server)
    with pytest.raises(ssl.SSLCertVerificationError, match="certificate revoked"):
        Ends(door.tls.context, client, session=session)

    door.revoke()
    assert door.tls.refresh()
    assert door.tls.still_good(kept, now) is None


def test_a_handshake_under_way_is_judged_by_the_new_list(door: Door, alice: Client) -> None:
    with Ends(door.tls.context, alice(ssl.TLSVersion.TLSv1_3)) as ends:
        door.revoke(ALICE)
        assert door.tls.refresh()
        with pytest.raises(ClientRefused) as caught:
            door.tls.verify(ends.server)
        assert caught.value.reason is reasons.CLIENT_CERT_REVOKED
        assert str(caught.value) == f"client_cert_revoked: serial {ALICE.serial:x} of CN=users"


@VERSIONS
def test_a_list_that_ends_while_it_is_in_use(door: Door, alice: Client, version: ssl.TLSVersion) -> None:
    """A resumed session has no handshake in which OpenSSL would notice."""
    door.revoke(next_update=HOUR)
    assert door.tls.refresh()
    with Ends(door.tls.context, alice(version)) as first:
        kept = door.tls.verify(first.server)
    assert kept is not None
    end = max(each.ends for each in door.tls.expiries() if each.kind == "crl" and each.name == "CN=users")
    assert door.tls.still_good(kept, end - 1) is None
    assert door.tls.still_good(kept, end) is reasons.CRL_EXPIRED


@pytest.mark.parametrize("content", [b"", b"junk", None], ids=["empty", "junk", "missing"])
@pytest.mark.parametrize("which", ["ca", "crl"])
def test_a_policy_that_cannot_be_read_leaves_the_old_one(
    door: Door, alice: Client, caplog: pytest.LogCaptureFixture, which: str, content: bytes | None
) -> None:
    path: Path = getattr(door, which)
    if content is None:
        path.unlink()
    else:
        replace(path, content)
    assert not door.tls.refresh()
    (record,) = caplog.records
    assert str(path) in str(record.__dict__["fields"]["error"])
    with Ends(door.tls.context, alice(ssl.TLSVersion.TLSv1_3)) as ends:
        assert door.tls.verify(ends.server) is not None


def test_an_expired_list_keeps_refusing_though_the_next_cannot_be_read(door: Door, alice: Client) -> None:
    door.revoke(next_update=-HOUR)
    assert door.tls.refresh()
    replace(door.crl, b"half a downlo")
    assert not door.tls.refresh()
    with pytest.raises(ssl.SSLCertVerificationError, match="CRL has expired"):
        Ends(door.tls.context, alice(ssl.TLSVersion.TLSv1_3))


@VERSIONS
def test_an_authority_that_is_not_trusted_any_more(door: Door, alice: Client, version: ssl.TLSVersion) -> None:
    client = alice(version)
    with Ends(door.tls.context, client) as first:
        kept = door.tls.verify(first.server)
        session = first.exchange()
    assert kept is not None
    replace(door.ca, pem(Authority.root("another").certificate))
    assert door.tls.refresh()
    assert door.tls.still_good(kept, kept.not_after - 3600) is reasons.CLIENT_CERT_REFUSED
    with pytest.raises(ssl.SSLCertVerificationError):
        Ends(door.tls.context, client, session=session)
