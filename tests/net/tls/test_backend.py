from __future__ import annotations

import logging
import queue
import socket
import ssl
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from lbproxy.auth.certificate import ClientCertificate
from lbproxy.auth.mint import Mint, Minted
from lbproxy.net.tls import BackendContext, BackendTls, backend
from tests.net.tls.terminal import NAME, PATIENCE, InThread, replace
from tests.pki import DAY, Authority, Files, Holder, foreign_text, pem, unreadable

ROOT = Authority.root()
MINT_CA = Authority.root("mint")
VERSIONS = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])


class Meeting(NamedTuple):
    """What a backend saw of a connection."""

    resumed: bool
    certificate: bytes | None
    protocol: str | None


class Backend(InThread):
    """It asks for a certificate, says one byte, and waits for the end."""

    def __init__(self, directory: Path, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> None:
        super().__init__()
        files = ROOT.server(NAME).write(directory, "backend")
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(files.chain, files.key)
        self.context.load_verify_locations(cadata=MINT_CA.chain[0] + ROOT.chain[0])
        self.context.verify_mode = ssl.CERT_OPTIONAL
        self.context.maximum_version = version
        self.context.set_alpn_protocols(["h2", "http/1.1"])
        self._meetings: queue.Queue[Meeting] = queue.Queue()

    def serve(self, sock: socket.socket) -> None:
        sock.settimeout(PATIENCE)
        with sock, suppress(OSError), self.context.wrap_socket(sock, server_side=True) as tls:
            protocol = tls.selected_alpn_protocol()
            self._meetings.put(Meeting(bool(tls.session_reused), tls.getpeercert(binary_form=True), protocol))
            tls.send(b"x")
            tls.recv(1)
            tls.unwrap()

    def meet(self, tls: BackendContext, host: str = NAME, *, reads: bool = True, port: int | None = None) -> Meeting:
        """One lane's life; `port` is the backend's, as far as the lane knows."""
        known = self.port if port is None else port
        with socket.socket() as sock, tls.wrap(sock, host, known) as lane:
            lane.settimeout(PATIENCE)
            lane.connect(("127.0.0.1", self.port))
            lane.do_handshake()
            if reads:
                assert lane.recv(1) == b"x"
            tls.remember(lane, host, known)
            if reads:
                lane.unwrap()
        return self._meetings.get(timeout=PATIENCE)


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    return replace(tmp_path / "ca.pem", pem(ROOT.certificate))


def towards(ca: Path | None, own: Files | None = None, *, verify: bool = True, name: str | None = None) -> BackendTls:
    pair = None if own is None else (own.chain, own.key)
    return BackendTls(ca, verify=verify, server_name=name, own=pair)


def minted(mint: Mint, user: Holder) -> Minted:
    return mint.mint(ClientCertificate.from_chain(user.chain), time.time())


@pytest.fixture
def mint() -> Mint:
    return Mint(MINT_CA.certificate, MINT_CA.key, lifetime=600.0)


# --- whom lbproxy believes, and as whom it appears


def test_a_backend_is_verified(tmp_path: Path, ca: Path) -> None:
    with Backend(tmp_path) as place:
        assert place.meet(towards(ca)) == Meeting(False, None, "http/1.1")
        assert place.meet(towards(ca, name=NAME), "10.0.0.1").protocol == "http/1.1"
        with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
            place.meet(towards(ca), "another.corp.example")
        with pytest.raises(ssl.SSLCertVerificationError, match="self-signed certificate in certificate chain"):
            place.meet(towards(None))


def test_unless_somebody_said_otherwise(tmp_path: Path) -> None:
    with Backend(tmp_path) as place:
        assert place.meet(towards(tmp_path / "none", verify=False), "another.corp.example").protocol == "http/1.1"


def test_a_certificate_of_our_own(tmp_path: Path, ca: Path) -> None:
    balancer = ROOT.issue("balancer")
    tls = towards(ca, balancer.write(tmp_path, "own"))
    with Backend(tmp_path) as place:
        assert place.meet(tls).certificate == balancer.chain[0]
    assert [(each.kind, each.path.name, each.name) for each in tls.expiries()] == [
        ("ca", "ca.pem", "CN=root"),
        ("certificate", "own.pem", "CN=balancer"),
    ]
    assert repr(tls) == "<TLS towards backends, 1 sessions>"


# --- sessions


@VERSIONS
def test_a_session_is_resumed(tmp_path: Path, ca: Path, version: ssl.TLSVersion) -> None:
    tls = towards(ca)
    with Backend(tmp_path, version) as place:
        assert [place.meet(tls).resumed for _ in range(3)] == [False, True, True]


def test_a_session_is_that_of_one_backend(tmp_path: Path, ca: Path) -> None:
    tls = towards(ca)
    with Backend(tmp_path) as place:
        place.meet(tls)
        assert not place.meet(tls, port=1).resumed
        assert place.meet(tls).resumed


def test_a_session_without_a_ticket_is_no_harm(tmp_path: Path, ca: Path) -> None:
    """In TLS 1.3 tickets come after the handshake, so a lane that has read nothing has none."""
    tls = towards(ca)
    with Backend(tmp_path) as place:
        place.meet(tls, reads=False)
        assert not place.meet(tls).resumed
        assert place.meet(tls).resumed


# --- a user's own context


def test_a_minted_certificate_is_shown(tmp_path: Path, ca: Path, mint: Mint) -> None:
    tls = towards(ca, name=NAME)
    alice = minted(mint, ROOT.issue("alice"))
    with Backend(tmp_path) as place:
        shown = place.meet(tls.minted(alice), "10.0.0.1").certificate
        assert shown is not None
        assert ssl.DER_cert_to_PEM_cert(shown).encode() in alice.certificate_pem
        assert place.meet(tls).certificate is None, "the pool itself still shows none"


def test_sessions_of_users_never_mix(tmp_path: Path, ca: Path, mint: Mint) -> None:
    tls = towards(ca)
    alice, bob = minted(mint, ROOT.issue("alice")), minted(mint, ROOT.issue("bob"))
    with Backend(tmp_path) as place:
        first = place.meet(tls.minted(alice))
        assert place.meet(tls.minted(alice)) == first._replace(resumed=True)
        assert not place.meet(tls.minted(bob)).resumed
        assert not place.meet(tls).resumed


def test_contexts_of_users_are_kept_for_a_while(
    ca: Path, mint: Mint, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(backend, "MAX_USERS", 2)
    tls = towards(ca)
    first, second, third = (minted(mint, ROOT.issue(name)) for name in ("alice", "bob", "carol"))
    context = tls.minted(first)
    tls.minted(second)
    assert tls.minted(first) is context
    tls.minted(third)
    assert tls.minted(first) is context, "the one used last"
    replace(ca, pem(ROOT.certificate))
    assert tls.refresh()
    assert tls.minted(first) is not context


# --- files that change


def test_a_new_authority_is_believed(tmp_path: Path, ca: Path) -> None:
    tls = towards(ca)
    with Backend(tmp_path) as place:
        place.meet(tls)
        replace(ca, pem(Authority.root().certificate))
        assert tls.refresh()
        with pytest.raises(ssl.SSLCertVerificationError):
            place.meet(tls)
        replace(ca, pem(ROOT.certificate))
        assert tls.refresh()
        assert not place.meet(tls).resumed
        assert not tls.refresh()


def test_a_session_of_earlier_files_is_not_kept(tmp_path: Path, ca: Path) -> None:
    tls = towards(ca)
    with Backend(tmp_path) as place:
        with socket.socket() as sock, tls.wrap(sock, NAME, place.port) as lane:
            lane.settimeout(PATIENCE)
            lane.connect(("127.0.0.1", place.port))
            lane.do_handshake()
            assert lane.recv(1) == b"x"
            replace(ca, pem(ROOT.certificate))
            assert tls.refresh()
            tls.remember(lane, NAME, place.port)
        place._meetings.get(timeout=PATIENCE)
        assert not place.meet(tls).resumed


def test_a_renewed_certificate_of_our_own(tmp_path: Path, ca: Path) -> None:
    own = ROOT.issue("balancer").write(tmp_path, "own")
    tls = towards(ca, own)
    renewed = ROOT.issue("balancer")
    replace(own.chain, renewed.chain_pem)
    replace(own.key, renewed.key_pem)
    assert tls.refresh()
    with Backend(tmp_path) as place:
        assert place.meet(tls).certificate == renewed.chain[0]


@pytest.mark.parametrize("broken", [b"", unreadable("name constraint"), foreign_text()])
def test_files_that_cannot_be_used_leave_the_old_ones(
    tmp_path: Path, ca: Path, caplog: pytest.LogCaptureFixture, broken: bytes
) -> None:
    tls = towards(ca)
    before = tls.expiries()
    replace(ca, broken)
    assert not tls.refresh()
    assert not tls.refresh()
    (record,) = caplog.records
    assert (record.levelno, record.message) == (logging.ERROR, "certificate_kept"), "said once"
    assert tls.refused is not None
    assert str(ca) in tls.refused.why
    assert str(ca) in str(record.__dict__["fields"]["error"])
    assert tls.expiries() == before
    with Backend(tmp_path) as place:
        assert place.meet(tls).protocol == "http/1.1"


def test_files_that_cannot_be_used_are_no_start(tmp_path: Path, ca: Path) -> None:
    with pytest.raises(ValueError, match=r"/none: No such file"):
        towards(tmp_path / "none")
    own = ROOT.issue("balancer").write(tmp_path, "own")
    own.key.unlink()
    with pytest.raises(ValueError, match=r"own\.key: No such file"):
        towards(ca, own)
    late = Authority.root("late", starts=-3 * DAY, ends=-DAY)
    with pytest.raises(ValueError, match=r"every certificate in .* has expired"):
        towards(replace(ca, pem(late.certificate)))
