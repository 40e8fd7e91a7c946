from __future__ import annotations

import logging
import os
import ssl
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from lbproxy.net.tls import ServerTls, client_context

CA = trustme.CA()
NAME = "login.corp.example"


class Files:
    """A listener's certificate and key."""

    def __init__(self, directory: Path) -> None:
        self.chain, self.key = directory / "login.pem", directory / "login.key"
        self._age = 0
        self.renew()

    def renew(self) -> int:
        """Write a new certificate; its serial number."""
        leaf = CA.issue_cert(NAME)
        self.write(self.chain, leaf.cert_chain_pems[0].bytes())
        self.write(self.key, leaf.private_key_pem.bytes())
        return x509.load_pem_x509_certificate(leaf.cert_chain_pems[0].bytes()).serial_number

    def write(self, path: Path, content: bytes) -> None:
        """Replace a file, which is a second older or newer than ever before: clocks of file systems are coarse."""
        path.write_bytes(content)
        self._age += 1
        os.utime(path, (self._age, self._age))


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext, name: str | None = NAME) -> ssl.SSLObject:
    """The client's side of a connection."""
    upwards, downwards = ssl.MemoryBIO(), ssl.MemoryBIO()
    far = server.wrap_bio(upwards, downwards, server_side=True)
    near = client.wrap_bio(downwards, upwards, server_hostname=name)
    sides = [near, far]
    while sides:
        side = sides.pop(0)
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            sides.append(side)
    return near


def browser(**settings: object) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    CA.configure_trust(context)
    for name, value in settings.items():
        setattr(context, name, value)
    return context


def serial(tls: ServerTls) -> int:
    certificate = shake_hands(tls.context, browser()).getpeercert(binary_form=True)
    assert certificate is not None
    return x509.load_der_x509_certificate(certificate).serial_number


# --- towards clients


def test_offers_only_http_1(files: Files) -> None:
    context = browser()
    context.set_alpn_protocols(["h2", "http/1.1"])
    tls = ServerTls(files.chain, files.key, "1.2")
    assert shake_hands(tls.context, context).selected_alpn_protocol() == "http/1.1"
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
    tls = ServerTls(files.chain, files.key, minimum)
    client = browser(maximum_version=offered)
    if accepted is None:
        with pytest.raises(ssl.SSLError):
            shake_hands(tls.context, client)
    else:
        assert shake_hands(tls.context, client).version() == accepted


@pytest.mark.parametrize("cipher", ["AES256-GCM-SHA384", "ECDHE-RSA-AES128-SHA256", "DHE-RSA-AES128-GCM-SHA256"])
def test_weak_ciphers_are_refused(files: Files, cipher: str) -> None:
    """Without forward secrecy, or not authenticated encryption, or with its own group (RFC 9325 section 4.2)."""
    tls = ServerTls(files.chain, files.key, "1.2")
    client = browser(maximum_version=ssl.TLSVersion.TLSv1_2)
    client.set_ciphers(f"{cipher}:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError):
        shake_hands(tls.context, client)


def test_a_new_certificate_is_picked_up(files: Files) -> None:
    tls = ServerTls(files.chain, files.key, "1.2")
    before = tls.context
    assert not tls.refresh()
    assert tls.context is before
    renewed = files.renew()
    assert tls.refresh()
    assert serial(tls) == renewed
    assert not tls.refresh()


def test_a_link_that_moves_is_followed(files: Files, tmp_path: Path) -> None:
    (tmp_path / "next").mkdir()
    renewed = Files(tmp_path / "next")
    link = tmp_path / "live.pem"
    link.symlink_to(files.chain)
    key = tmp_path / "live.key"
    key.symlink_to(files.key)
    tls = ServerTls(link, key, "1.2")
    before = serial(tls)
    for path, target in ((link, renewed.chain), (key, renewed.key)):
        path.unlink()
        path.symlink_to(target)
    assert tls.refresh()
    assert serial(tls) != before


@pytest.mark.parametrize("broken", ["half a renewal", "an empty chain", "no key", "an encrypted key"])
def test_files_that_cannot_be_used_leave_the_old_ones(
    files: Files, caplog: pytest.LogCaptureFixture, broken: str
) -> None:
    tls = ServerTls(files.chain, files.key, "1.2")
    before = serial(tls)
    key = files.key.read_bytes()
    if broken == "an empty chain":
        files.write(files.chain, b"")
    elif broken == "no key":
        files.key.unlink()
    elif broken == "an encrypted key":
        encryption = serialization.BestAvailableEncryption(b"secret")
        loaded = serialization.load_pem_private_key(key, None)
        pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        files.write(files.key, loaded.private_bytes(pem, pkcs8, encryption))
    else:
        files.renew()
        files.write(files.key, key)
    assert not tls.refresh()
    assert not tls.refresh()
    assert serial(tls) == before
    events = [(record.levelno, record.message) for record in caplog.records]
    assert events == [(logging.ERROR, "certificate_kept")], "said once"
    renewed = files.renew()
    assert tls.refresh()
    assert serial(tls) == renewed


def test_files_that_cannot_be_used_are_no_start(files: Files) -> None:
    files.key.unlink()
    with pytest.raises(OSError, match="No such file"):
        ServerTls(files.chain, files.key, "1.2")
    files.write(files.key, CA.issue_cert(NAME).private_key_pem.bytes())
    with pytest.raises(ssl.SSLError, match="KEY_VALUES_MISMATCH"):
        ServerTls(files.chain, files.key, "1.2")


# --- towards backends


def of_a_backend() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    CA.issue_cert(NAME).configure_cert(context)
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


def test_a_backend_is_verified(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_bytes(CA.cert_pem.bytes())
    context = client_context(ca, verify=True)
    assert shake_hands(of_a_backend(), context).selected_alpn_protocol() == "http/1.1"
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        shake_hands(of_a_backend(), context, "another.corp.example")
    with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"):
        shake_hands(of_a_backend(), client_context(None, verify=True))


def test_unless_somebody_said_otherwise() -> None:
    shake_hands(of_a_backend(), client_context(None, verify=False), "another.corp.example")


def test_a_ca_that_cannot_be_used(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    with pytest.raises(OSError, match="No such file"):
        client_context(ca, verify=True)
    ca.write_bytes(b"no certificate")
    with pytest.raises(ssl.SSLError):
        client_context(ca, verify=True)
