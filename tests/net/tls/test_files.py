from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from lbproxy.net.tls.files import (
    Watch,
    expiries_of,
    in_memory,
    load_pair,
    read_authorities,
    read_certificates,
    read_revocation_lists,
)
from tests.net.tls.terminal import replace
from tests.pki import DAY, HOUR, UNREADABLE, Authority, foreign_text, pem, unreadable, write_bundle, write_crls

ROOT = Authority.root()
USERS = ROOT.intermediate("users")
NOW = USERS.certificate.not_valid_before_utc.timestamp() + DAY.total_seconds()


def server_context() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)


# --- watching


def test_watches_what_changes_with_the_content(tmp_path: Path) -> None:
    first, second = replace(tmp_path / "a", b"1"), tmp_path / "b"
    watch = Watch([first, second])
    assert repr(watch) == f"<watch of {first}, {second}>"
    assert not watch.changed()
    replace(first, b"2")
    assert watch.changed()
    assert not watch.changed()
    second.write_bytes(b"a file that was missing")
    assert watch.changed()
    second.unlink()
    assert watch.changed()
    assert not watch.changed()


def test_watches_where_links_lead(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        replace(tmp_path / name / "login.pem", b"same size")
    link = tmp_path / "live"
    link.symlink_to("old")
    watch = Watch([link / "login.pem"])
    link.unlink()
    link.symlink_to("new")
    assert watch.changed()


def test_watches_for_another_file_of_the_same_name(tmp_path: Path) -> None:
    """Of the same age and size: renewed by a tool that copies times."""
    path, other = tmp_path / "login.pem", tmp_path / "next.pem"
    for file in (path, other):
        file.write_bytes(b"same size")
        os.utime(file, (1, 1))
    watch = Watch([path])
    other.replace(path)
    assert watch.changed()


# --- reading


def test_reads_a_bundle_in_its_order(tmp_path: Path) -> None:
    path = write_bundle(tmp_path / "ca.pem", USERS, ROOT)
    assert read_certificates(path) == [USERS.certificate, ROOT.certificate]


@pytest.mark.parametrize("content", [b"", b"no certificate", b"-----BEGIN CERTIFICATE-----\nMIIB\n"])
def test_names_the_file_that_cannot_be_read(tmp_path: Path, content: bytes) -> None:
    junk = tmp_path / "junk"
    junk.write_bytes(content)
    with pytest.raises(ValueError, match=r"/junk holds no usable PEM certificate$"):
        read_certificates(junk)
    with pytest.raises(ValueError, match=r"/junk holds no usable revocation list, in PEM or in DER$"):
        read_revocation_lists(junk)
    for read in (read_certificates, read_revocation_lists):
        with pytest.raises(ValueError, match=r"/none: No such file or directory$"):
            read(tmp_path / "none")


@pytest.mark.parametrize("extension", UNREADABLE)
def test_names_the_certificate_that_is_not_understood(tmp_path: Path, extension: str) -> None:
    """Whatever cryptography raises for it."""
    path = tmp_path / "ca.pem"
    path.write_bytes(pem(ROOT.certificate) + unreadable(extension))
    with pytest.raises(ValueError, match=r"/ca\.pem: certificate 2 in it cannot be read: "):
        read_certificates(path)


def test_authorities_that_openssl_refuses(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.write_bytes(pem(ROOT.certificate) + foreign_text())
    assert len(read_certificates(path)) == 2
    with pytest.raises(ValueError, match=r"OpenSSL refuses a certificate in .*/ca\.pem: "):
        read_authorities(path, NOW)


@pytest.mark.parametrize("read", [read_certificates, read_revocation_lists])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, read: Callable[[Path], object]) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", Path("/dev/zero")):
        with pytest.raises(ValueError, match=rf"^{path}: not a regular file$"):
            read(path)


def test_authorities_are_good_for_something(tmp_path: Path) -> None:
    late = Authority.root("late", starts=-3 * DAY, ends=-DAY)
    bundle = write_bundle(tmp_path / "some.pem", late, ROOT)
    assert read_authorities(bundle, NOW) == [late.certificate, ROOT.certificate]
    with pytest.raises(ValueError, match=r"every certificate in .*/late\.pem has expired"):
        read_authorities(late.write_certificate(tmp_path / "late.pem"), NOW)


def test_reads_revocation_lists_in_either_form(tmp_path: Path) -> None:
    first, second = ROOT.crl(), USERS.crl()
    assert read_revocation_lists(write_crls(tmp_path / "both.crl", first, second)) == [first, second]
    der = tmp_path / "der.crl"
    der.write_bytes(first.public_bytes(Encoding.DER))
    assert read_revocation_lists(der) == [first]


def test_tells_when_certificates_end(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    (expiry,) = expiries_of("ca", path, [USERS.certificate])
    assert expiry == ("ca", path, "CN=users", USERS.certificate.not_valid_after_utc.timestamp())


# --- handing to OpenSSL


def test_loads_a_chain_with_its_key(tmp_path: Path) -> None:
    files = USERS.issue("alice", ends=HOUR).write(tmp_path)
    context = server_context()
    assert load_pair(context, files.chain, files.key) == read_certificates(files.chain)


def test_a_key_that_cannot_be_used(tmp_path: Path) -> None:
    files = ROOT.server("a.test").write(tmp_path)
    context = server_context()
    other = ROOT.server("b.test").write(tmp_path, "other")
    with pytest.raises(ValueError, match=r"/other\.key cannot be used with .*/leaf\.pem: KEY_VALUES_MISMATCH"):
        load_pair(context, files.chain, other.key)
    with pytest.raises(ValueError, match=r"/none\.key: No such file or directory"):
        load_pair(context, files.chain, tmp_path / "none.key")


def test_nobody_is_asked_for_a_passphrase(tmp_path: Path) -> None:
    leaf = ROOT.server("a.test")
    files = leaf.write(tmp_path)
    secret = BestAvailableEncryption(b"secret")
    files.key.write_bytes(leaf.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, secret))
    with pytest.raises(ValueError, match=r"/leaf\.key cannot be used"):
        load_pair(server_context(), files.chain, files.key)


def test_a_file_in_memory() -> None:
    with in_memory(b"a key") as path:
        assert Path(path).read_bytes() == b"a key"
        assert Path(path).read_bytes() == b"a key", "from its start each time"
    assert not Path(path).exists()


def test_a_file_that_others_may_read_from_now_on_has_changed(tmp_path: Path) -> None:
    """What could not be read for want of rights is tried again when they are given, though nothing was written."""
    path = tmp_path / "login.key"
    path.write_bytes(b"x")
    path.chmod(0o600)
    watch = Watch([path])
    path.chmod(0o640)
    assert watch.changed()
    assert not watch.changed()
